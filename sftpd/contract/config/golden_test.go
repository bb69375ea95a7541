package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, have, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s:\nhave %s\nwant %s\nA change to the format requires a new config.Version, because old daemons read what new operators write.", name, have, want)
	}
}

func exampleListener() config.Listener {
	return config.Listener{
		Namespace: "files", Name: "public", CryptoPolicy: "Modern2026",
		Authentication: config.Authentication{
			Methods: []string{config.MethodPublicKey, config.MethodPassword}, MaxTries: 6, LoginGraceSeconds: 60,
		},
		Limits:   config.Limits{MaxConnections: 500, MaxConnectionsPerUser: 10, IdleTimeoutSeconds: 900},
		Shutdown: config.Shutdown{ReadinessDelaySeconds: 5, DrainTimeoutSeconds: 300},
		Volumes:  []config.Volume{{Name: "data", Path: "/volumes/data"}, {Name: "drop", Path: "drop"}},
	}
}

func exampleUsers() []config.User {
	begin, end := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	return []config.User{
		{
			Username: "acme.prod@2", UID: "6f2f4a0e", Namespace: "team-a", Name: "acme", Methods: []string{"PublicKey,Password,TOTP", "PublicKey,PublicKey"},
			Keys: []config.Key{
				{PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbYjtj0C9ZQKkh8vKSO0RVmkrg7c1GvmqOKwEqTzGOc"},
				{
					PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx2e4f3hCkbOAQXQMy1NSYqxZCkFTqCgwlKP0Xh3pSB", From: []string{"192.0.2.0/24", "2001:db8::/32"},
					NotBefore: &begin, NotAfter: &end,
				},
			},
			Password: &config.Password{Hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5", Source: "secret/acme@1"},
			TOTP:     &config.TOTP{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Digits: 6, Algorithm: "SHA1"},
			NotAfter: &end, MaxConnections: 3,
			Mounts: []config.Mount{
				{Path: "/", Volume: "data", SubPath: "acme", Access: config.ReadWrite},
				{Path: "/in <&>", Volume: "drop", SubPath: "acme/in", Access: config.WriteOnly},
			},
		},
		{
			Username: "bob", UID: "70c1", Namespace: "team-b", Name: "bob", Methods: []string{"PublicKey"},
			Keys:   []config.Key{{PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbYjtj0C9ZQKkh8vKSO0RVmkrg7c1GvmqOKwEqTzGOc"}},
			Mounts: []config.Mount{{Path: "/", Volume: "data", Access: config.ReadOnly}},
		},
	}
}

func encode(t *testing.T) map[string][]byte {
	t.Helper()
	var shards [2][]byte
	for i, u := range exampleUsers() {
		line, err := config.EncodeUser(u)
		if err != nil {
			t.Fatal(err)
		}
		shards[i] = line
	}
	hostKeys := [][]byte{[]byte("first host key\n"), []byte("second host key\n")}
	listener, err := config.EncodeListener(exampleListener(), hostKeys, shards[:])
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		config.ListenerFile: listener, config.HostKeyFile(0): hostKeys[0], config.HostKeyFile(1): hostKeys[1],
		config.ShardFile(0): shards[0], config.ShardFile(1): shards[1],
	}
}

func TestGolden(t *testing.T) {
	for name, data := range encode(t) {
		golden(t, name, data)
	}
}

func store(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoundTrip: what is encoded is loaded back unchanged.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	files := encode(t)
	store(t, dir, files)
	set, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(set.Users, exampleUsers()) {
		t.Errorf("users: %+v", set.Users)
	}
	if len(set.Rejected) != 0 || set.Digest != config.Digest(files[config.ListenerFile]) {
		t.Errorf("rejected %v, digest %s", set.Rejected, set.Digest)
	}
	if len(set.HostKeys) != 2 || string(set.HostKeys[1]) != "second host key\n" {
		t.Errorf("host keys: %q", set.HostKeys)
	}
	want := exampleListener()
	want.Version = config.Version
	want.HostKeys, want.Shards = set.Listener.HostKeys, set.Listener.Shards
	want.Volumes[1].Path = filepath.Join(dir, "drop")
	if !reflect.DeepEqual(set.Listener, want) {
		t.Errorf("listener: %+v", set.Listener)
	}
}
