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
		none     bool     // the policy prefers none
		without  []string // what the client is not offered
	}{
		"both":                {up: []string{chacha, gcm128}, down: []string{chacha, gcm128, ctr}, without: []string{chacha}},
		"one each":            {up: []string{gcm256}, down: []string{ctr, gcm128, chacha}, without: []string{ctr}},
		"different ones":      {up: []string{chacha, gcm256}, down: []string{ctr, gcm128}, without: []string{chacha, ctr}},
		"first already":       {up: []string{gcm128, chacha}, down: []string{gcm256, ctr}},
		"up alone":            {up: []string{chacha, gcm128}, down: []string{chacha}},
		"down alone":          {up: []string{ctr}, down: []string{gcm256}},
		"neither":             {up: []string{chacha}, down: []string{ctr}},
		"nothing":             {},
		"no AES instructions": {up: []string{chacha, gcm128}, down: []string{chacha, gcm128}, slow: true},
		"no preference":       {up: []string{chacha, gcm128}, down: []string{chacha, gcm128}, none: true},
	} {
		for _, p := range All() {
			t.Run(p.Name+"/"+name, func(t *testing.T) {
				fastAES = !tc.slow
				if tc.none {
					p.Preferred = nil
				}
				want := slices.DeleteFunc(slices.Clone(p.Ciphers), func(c string) bool { return slices.Contains(tc.without, c) })
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
