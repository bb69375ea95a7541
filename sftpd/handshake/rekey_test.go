package handshake

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func TestPace(t *testing.T) {
	p := &pace{}
	now := time.Now()
	for i := range 8 {
		if d := p.reserve(now); d != 0 {
			t.Errorf("exchange %d waits %s", i, d)
		}
	}
	for i := 1; i <= 3; i++ {
		if d, want := p.reserve(now), time.Duration(i)*time.Second; d != want {
			t.Errorf("%d beyond the burst: waits %s, want %s", i, d, want)
		}
	}
	if d := p.reserve(now.Add(time.Hour)); d != 0 {
		t.Errorf("an hour later: waits %s", d)
	}
}

// TestHostKeyCounts: whichever way a host key signs, the exchange is counted, paced and limited, and the signature is the
// key's.
func TestHostKeyCounts(t *testing.T) {
	plain, _ := configtest.Key(t)
	key, ok := plain.(ssh.MultiAlgorithmSigner)
	if !ok {
		t.Fatalf("%T", plain)
	}
	h := &Handshake{ctx: t.Context(), limits: Limits{Exchanges: 2, Slots: make(Slots, 1)}}
	k := hostKey{key, h}
	sign := map[string]func() (*ssh.Signature, error){
		"Sign": func() (*ssh.Signature, error) { return k.Sign(nil, []byte("x")) },
		"SignWithAlgorithm": func() (*ssh.Signature, error) {
			return k.SignWithAlgorithm(nil, []byte("x"), ssh.KeyAlgoED25519)
		},
	}
	for method, f := range sign {
		h.exchanges.Store(0)
		h.rekeying.last.Store(0)
		if err := h.takeSlot(); err != nil {
			t.Fatal(err)
		}
		before := h.pace.free
		sig, err := f()
		if err != nil {
			t.Fatal(err)
		}
		if err := key.PublicKey().Verify([]byte("x"), sig); err != nil || !h.pace.free.After(before) {
			t.Errorf("%s: %v, counted until %s", method, err, h.pace.free)
		}
		if len(h.limits.Slots) != 0 || !h.is(signed) || h.rekeying.last.Load() == 0 {
			t.Errorf("%s: %d slots are taken in state %d", method, len(h.limits.Slots), h.state.Load())
		}
	}
	h.exchanges.Store(h.limits.Exchanges - 1)
	if _, err := sign["Sign"](); err != nil || h.excess.Load() {
		t.Errorf("the last exchange that a login may have: %v", err)
	}
	for method, f := range sign {
		if _, err := f(); !errors.Is(err, errTooManyExchanges) || !h.excess.Load() {
			t.Errorf("%s for one exchange more: %v", method, err)
		}
	}
	h.reach(loggedIn)
	for method, f := range sign {
		if _, err := f(); err != nil {
			t.Errorf("%s after the login: %v", method, err)
		}
	}
}
