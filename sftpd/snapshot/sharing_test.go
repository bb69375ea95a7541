package snapshot

import (
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestSharedInAnyShard: users of several namespaces share a listener, whichever shards they are in and whatever comes after them.
func TestSharedInAnyShard(t *testing.T) {
	for name, tc := range map[string]struct {
		shards [][]string // the namespaces of their users
		shared bool
	}{
		"none":                         {nil, false},
		"empty ones":                   {[][]string{nil, nil}, false},
		"one":                          {[][]string{{"a", "a"}, nil, {"a"}}, false},
		"two in one shard":             {[][]string{{"a", "b"}}, true},
		"two in one shard, then one":   {[][]string{{"a", "b"}, {"a"}, nil}, true},
		"two in a later one, then one": {[][]string{nil, {"a"}, {"a", "b", "a"}, {"a"}}, true},
		"one in each":                  {[][]string{{"a"}, {"b"}}, true},
		"one in each, then the first":  {[][]string{{"a"}, {"b"}, {"a"}}, true},
	} {
		var shards []config.Shard
		parts := map[string]*part{}
		users := uint64(0)
		for i, namespaces := range tc.shards {
			digest, p := string(rune('0'+i)), &part{}
			for _, namespace := range namespaces {
				p.add(login{User: &User{Namespace: namespace}})
				users++
			}
			shards, parts[digest] = append(shards, config.Shard{File: config.File{SHA256: digest}}), p
		}
		if got := newNamespaces([]byte("key"), shards, parts); got.shared != tc.shared || got.users != users {
			t.Errorf("%s: shared %v, %d users, want %v, %d", name, got.shared, got.users, tc.shared, users)
		}
	}
}
