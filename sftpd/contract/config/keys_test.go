package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// A record has at most 64 keys, of at most 16 KiB in total including their networks.
func TestBoundsOfKeys(t *testing.T) {
	line := "ssh-ed25519 " + strings.Repeat("A", 244) // 256 bytes
	long := config.Key{PublicKey: strings.Repeat("A", 256-len("10.0.0.0/8")), From: []string{"10.0.0.0/8"}}
	for name, tc := range map[string]struct {
		keys []config.Key
		say  string
	}{
		"64 keys, 16 KiB":        {slices.Repeat([]config.Key{{PublicKey: line}}, 64), ""},
		"65 small keys":          {slices.Repeat([]config.Key{{PublicKey: "k"}}, 65), "more than 64 keys"},
		"a byte more":            {append(slices.Repeat([]config.Key{{PublicKey: line}}, 63), config.Key{PublicKey: line + "A"}), "more than 16384 bytes"},
		"networks count, too":    {slices.Repeat([]config.Key{long}, 64), ""},
		"a network that is more": {append(slices.Repeat([]config.Key{long}, 63), config.Key{PublicKey: long.PublicKey, From: []string{"10.0.0.0/16"}}), "more than 16384 bytes"},
	} {
		u := config.User{
			Username: "acme", UID: "1", Namespace: "team", Name: "acme", Methods: []string{"PublicKey"}, Keys: tc.keys,
			Mounts: []config.Mount{{Path: "/", Volume: "home", Access: config.ReadWrite}},
		}
		if err := u.Validate(); (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v, want %q", name, err, tc.say)
		}
	}
}
