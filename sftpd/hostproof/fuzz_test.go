package hostproof

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// FuzzProofRequest: whatever a client sends, an accepted request is exactly the list of its keys, without duplicates and within
// the limit.
func FuzzProofRequest(f *testing.F) {
	key := appendString(nil, []byte("ssh-ed25519 key"))
	f.Add([]byte{})
	f.Add(key)
	f.Add(append(bytes.Clone(key), key...))
	f.Add(append(bytes.Clone(key), 0, 0, 0, 0))
	f.Add(append(bytes.Clone(key), 0, 0, 0, 1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	var many []byte
	for i := range config.MaxHostKeys + 1 {
		f.Add(bytes.Clone(many))
		many = appendString(many, []byte(strings.Repeat("k", i)))
	}
	f.Add(many)
	f.Fuzz(func(t *testing.T, payload []byte) {
		keys, ok := parseRequest(payload)
		if !ok {
			if keys != nil && len(keys) > config.MaxHostKeys {
				t.Errorf("%d keys", len(keys))
			}
			return
		}
		if len(keys) == 0 || len(keys) > config.MaxHostKeys {
			t.Errorf("%d keys", len(keys))
		}
		var again []byte
		seen := map[string]bool{}
		for _, k := range keys {
			again = appendString(again, k)
			if seen[string(k)] {
				t.Errorf("%q stands twice", k)
			}
			seen[string(k)] = true
		}
		if !bytes.Equal(again, payload) {
			t.Errorf("%q was read as %q", payload, again)
		}
	})
}

// TestProofRequestIsBounded: a request may list as many keys as an endpoint can have, and not one more.
func TestProofRequestIsBounded(t *testing.T) {
	var payload []byte
	for i := range config.MaxHostKeys {
		payload = appendString(payload, []byte(strings.Repeat("k", i+1)))
	}
	if keys, ok := parseRequest(payload); !ok || len(keys) != config.MaxHostKeys {
		t.Errorf("%d keys, %v", len(keys), ok)
	}
	if _, ok := parseRequest(appendString(payload, []byte("one more"))); ok {
		t.Error("took more")
	}
}
