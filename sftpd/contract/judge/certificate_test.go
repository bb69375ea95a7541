package judge

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestEachOptionCounts: one option that is not understood is enough to refuse, whatever the others are.
func TestEachOptionCounts(t *testing.T) {
	for range 30 { // map order is random
		if understood(&ssh.Certificate{Permissions: ssh.Permissions{CriticalOptions: map[string]string{
			"source-address": "192.0.2.1", "force-command": "internal-sftp", "verify-required": "",
		}}}) {
			t.Fatal("an option is passed over")
		}
	}
}

// TestSourceOfACertificate: the daemon treats an unknown address as outside every network; other callers treat it as possibly
// inside any of them.
func TestSourceOfACertificate(t *testing.T) {
	c := &ssh.Certificate{Permissions: ssh.Permissions{CriticalOptions: map[string]string{sourceAddress: "192.0.2.1"}}}
	if got := (Certificate{Certificate: c}).outside(); got != Yes {
		t.Errorf("what is not TCP: %v", got)
	}
	if got := (Certificate{Certificate: c, SourceUnknown: true}).outside(); got != Unknown {
		t.Errorf("an address that is not known: %v", got)
	}
}
