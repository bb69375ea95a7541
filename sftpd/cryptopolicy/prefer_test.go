package cryptopolicy

import (
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestCiphersFor(t *testing.T) {
	const gcm128, gcm256, ctr, chacha = ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherAES128CTR, ssh.CipherChaCha20Poly1305
	has := fastAES
	t.Cleanup(func() { fastAES = has })
	for name, tc := range map[string]struct {
		up, down []string
		slow     bool
		none     bool // the policy prefers none
		steered  bool
	}{
		"both":           {up: []string{chacha, gcm128}, down: []string{chacha, gcm128}, steered: true},
		"one each":       {up: []string{gcm256}, down: []string{ctr, gcm128}, steered: true},
		"up alone":       {up: []string{chacha, gcm128}, down: []string{chacha}},
		"down alone":     {up: []string{ctr}, down: []string{gcm256}},
		"neither":        {up: []string{chacha}, down: []string{ctr}},
		"nothing":        {},
		"no instruction": {up: []string{gcm128}, down: []string{gcm128}, slow: true},
		"no preference":  {up: []string{gcm128}, down: []string{gcm128}, none: true},
	} {
		for _, p := range All() {
			t.Run(p.Name+"/"+name, func(t *testing.T) {
				fastAES = !tc.slow
				if tc.none {
					p.Preferred = nil
				}
				want := p.Ciphers
				if tc.steered {
					want = p.Preferred
				}
				if have := p.CiphersFor(tc.up, tc.down); !slices.Equal(have, want) {
					t.Errorf("%v, want %v", have, want)
				}
				for _, c := range p.Preferred {
					if !slices.Contains(p.Ciphers, c) {
						t.Errorf("%s is preferred and not offered", c)
					}
				}
			})
		}
	}
}
