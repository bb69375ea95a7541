package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// memoryDir returns a directory in memory where one exists, which allows many more tries.
func memoryDir(f *testing.F) string {
	dir, err := os.MkdirTemp("/dev/shm", "sftpd-config-")
	if err != nil {
		return f.TempDir()
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FuzzListener: whatever listener.json contains, it is either refused, or it decodes to a listener that encodes to the same
// meaning. Its files are looked up in its own directory only.
func FuzzListener(f *testing.F) {
	encoded := func(l config.Listener) {
		raw, err := config.EncodeListener(l, [][]byte{[]byte("key")}, [][]byte{[]byte("\n")})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	l := exampleListener()
	encoded(l)
	l.AllowFrom, l.ProxyProtocol = []string{"192.0.2.0/24", "::/0"}, &config.ProxyProtocol{TrustedFrom: []string{"198.51.100.0/24"}}
	l.Startups, l.Sources = config.Startups{Begin: 10, DropPercent: 30, Full: 100}, config.Sources{IPv6PrefixLength: 48, Penalties: true}
	l.Uploads = config.Uploads{Publish: config.PublishOnClose, Incomplete: config.IncompleteDelete}
	l.Tracing = config.Tracing{Endpoint: "http://collector.observability.svc:4318", SamplingPercent: 10}
	encoded(l)
	f.Add([]byte(`{"version":1,"hostKeys":[{"name":"../../etc/passwd","sha256":""}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("{}{}"))
	outer := memoryDir(f)
	dir := filepath.Join(outer, "config")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	store(f, outer, map[string][]byte{"outside": []byte("key")})
	store(f, dir, map[string][]byte{config.HostKeyFile(0): []byte("key"), config.ShardFile(0): []byte("\n")})
	f.Fuzz(func(t *testing.T, raw []byte) {
		store(t, dir, map[string][]byte{config.ListenerFile: raw})
		set, err := config.Load(dir)
		if err != nil {
			if set != nil {
				t.Error("a set along with an error")
			}
			return
		}
		if err := set.Listener.Validate(); err != nil || set.Digest != config.Digest(raw) {
			t.Errorf("%v, digest %s", err, set.Digest)
		}
		again, err := config.EncodeListener(set.Listener, set.HostKeys, [][]byte{[]byte("\n")})
		if err != nil {
			t.Fatalf("loaded, but not encoded: %v", err)
		}
		store(t, dir, map[string][]byte{config.ListenerFile: again})
		// Any host key beyond the number of files is "hostkey-0".
		if _, err := config.Load(dir); err != nil && !errors.Is(err, config.ErrInconsistent) {
			t.Errorf("not loaded again: %v", err)
		}
	})
}

// FuzzShard: each line of a shard is one user or one rejection, login names are unique, and a user's mounts refer to existing
// volumes.
func FuzzShard(f *testing.F) {
	var both []byte
	for _, u := range exampleUsers() {
		line, err := config.EncodeUser(u)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
		f.Add(bytes.Replace(line, []byte(`"subPath":"`), []byte(`"subPath":"../`), 1))
		both = append(both, line...)
	}
	f.Add(both)
	f.Add(append(both, both...))
	f.Add([]byte("\n{}\nnull\n[]\n\xff\n"))
	dir := memoryDir(f)
	f.Fuzz(func(t *testing.T, shard []byte) {
		raw, err := config.EncodeListener(exampleListener(), [][]byte{[]byte("key")}, [][]byte{shard})
		if err != nil {
			t.Fatal(err)
		}
		store(t, dir, map[string][]byte{config.ListenerFile: raw, config.HostKeyFile(0): []byte("key"), config.ShardFile(0): shard})
		set, err := config.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for l := range bytes.SplitSeq(shard, []byte("\n")) {
			if len(l) > 0 {
				lines++
			}
		}
		if have := len(set.Users) + len(set.Rejected); have != lines {
			t.Errorf("%d users and rejections of %d lines", have, lines)
		}
		seen := map[string]bool{}
		for _, u := range set.Users {
			if seen[u.Username] || u.Validate() != nil {
				t.Errorf("user %q: %v", u.Username, u.Validate())
			}
			seen[u.Username] = true
			for _, m := range u.Mounts {
				if _, ok := set.Listener.Volume(m.Volume); !ok || !filepath.IsLocal(filepath.Join(".", m.SubPath)) || !filepath.IsAbs(m.Path) {
					t.Errorf("mount %+v", m)
				}
			}
		}
	})
}
