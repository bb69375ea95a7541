package config_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func replace(files map[string][]byte, name, old, with string) {
	files[name] = bytes.Replace(files[name], []byte(old), []byte(with), 1)
}

func TestLoadFails(t *testing.T) {
	listener, shard, key := config.ListenerFile, config.ShardFile(0), config.HostKeyFile(0)
	for _, tc := range []struct {
		name         string
		change       func(map[string][]byte)
		inconsistent bool
		say          string
	}{
		{"no listener.json", func(f map[string][]byte) { delete(f, listener) }, false, "no such file"},
		{"no JSON", func(f map[string][]byte) { f[listener] = []byte("{") }, false, "not valid JSON"},
		{"empty", func(f map[string][]byte) { f[listener] = nil }, false, "not valid JSON"},
		{"two values", func(f map[string][]byte) { f[listener] = append(f[listener], "{}"...) }, false, "not valid JSON"},
		{"newer version", func(f map[string][]byte) { f[listener] = []byte(`{"version":2,"new":1}`) }, false, "version 2 is not supported"},
		{"unknown field", func(f map[string][]byte) { replace(f, listener, `"limits":{`, `"limits":{"new":1,`) }, false, `unknown field "new"`},
		{"wrong type", func(f map[string][]byte) { replace(f, listener, `"maxTries":6`, `"maxTries":"6"`) }, false, "maxTries"},
		{"limit of 0", func(f map[string][]byte) { replace(f, listener, `"maxConnections":500`, `"maxConnections":0`) }, false, "at least 1"},
		{"unknown method", func(f map[string][]byte) { replace(f, listener, `"Password"`, `"Telepathy"`) }, false, `"Telepathy" is not known`},
		{"unknown checksum", func(f map[string][]byte) {
			replace(f, listener, `"volumes":`, `"uploads":{"checksum":"MD5"},"volumes":`)
		}, false, `uploads.checksum "MD5" is not known`},
		{"invalid revoked key", func(f map[string][]byte) {
			replace(f, listener, `"volumes":`, `"revoked":{"keys":["SHA256:AAAA"]},"volumes":`)
		}, false, `"SHA256:AAAA" is not the SHA-256 fingerprint of a key`},
		{"revoked range that goes down", func(f map[string][]byte) {
			replace(f, listener, `"volumes":`, `"revoked":{"certificates":[{"serial":7,"lastSerial":7}]},"volumes":`)
		}, false, "a range of serial numbers must go up"},
		{"revoked certificate without a name", func(f map[string][]byte) {
			replace(f, listener, `"volumes":`, `"revoked":{"certificates":[{}]},"volumes":`)
		}, false, "either a serial number or a key ID must be set"},
		{"file elsewhere", func(f map[string][]byte) { replace(f, listener, `"hostkey-0"`, `"../hostkey"`) }, false, "not a file name"},
		{"unknown state of a host key", func(f map[string][]byte) {
			replace(f, listener, `{"name":"hostkey-0",`, `{"state":"Paused","name":"hostkey-0",`)
		}, false, `hostkey-0: state "Paused" of a host key is not known`},
		{"active written out", func(f map[string][]byte) {
			replace(f, listener, `{"name":"hostkey-0",`, `{"state":"Active","name":"hostkey-0",`)
		}, false, `hostkey-0: state "Active" of a host key is not known`},
		{"no active host key", func(f map[string][]byte) {
			replace(f, listener, `{"name":"hostkey-0",`, `{"state":"Retiring","name":"hostkey-0",`)
			replace(f, listener, `{"name":"hostkey-1",`, `{"state":"Staged","name":"hostkey-1",`)
		}, false, "one of hostKeys must be active"},
		{"no host key", func(f map[string][]byte) { delete(f, key) }, true, "hostkey-0, which is missing"},
		{"other host key", func(f map[string][]byte) { f[key] = []byte("x") }, true, "hostkey-0 has the digest"},
		{"no shard", func(f map[string][]byte) { delete(f, shard) }, true, "users-00.jsonl, which is missing"},
		{"older shard", func(f map[string][]byte) { f[shard] = nil }, true, "users-00.jsonl has the digest"},
		{"large file", func(f map[string][]byte) { f[shard] = make([]byte, 5<<20) }, false, "larger than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := maps.Clone(encode(t))
			tc.change(files)
			dir := t.TempDir()
			store(t, dir, files)
			set, err := config.Load(dir)
			if set != nil || err == nil || !strings.Contains(err.Error(), tc.say) || errors.Is(err, config.ErrInconsistent) != tc.inconsistent {
				t.Errorf("%v, %v", set, err)
			}
		})
	}
}

// TestEncodeHostKeys: states and certificates stay with the files at their positions.
func TestEncodeHostKeys(t *testing.T) {
	l := exampleListener()
	files := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	l.HostKeys = []config.HostKey{{Certificate: "ssh-ed25519-cert-v01@openssh.com AAAA"}, {State: config.HostKeyAdvertised}, {State: config.HostKeyRetiring}}
	data, err := config.EncodeListener(l, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`,"certificate":"ssh-ed25519-cert-v01@openssh.com AAAA"}`, `,"state":"Advertised"}`, `,"state":"Retiring"}`} {
		want = `{"name":"` + config.HostKeyFile(i) + `","sha256":"` + config.Digest(files[i]) + `"` + want
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if l.HostKeys[0].Name != "" {
		t.Error("the caller's settings were changed")
	}
	for name, n := range map[string]int{"fewer files": 2, "more files": 4, "none": 0} {
		if _, err := config.EncodeListener(l, append(files, files...)[:n], nil); err == nil || !strings.Contains(err.Error(), "hostKeys has 3 keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.HostKeys = nil
	for n, say := range map[int]string{0: "hostKeys must not be empty", config.MaxHostKeys + 1: "hostKeys must have at most 16 entries"} {
		if _, err := config.EncodeListener(l, make([][]byte, n), nil); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%d keys: %v", n, err)
		}
	}
}

// TestLoadRejectsUsers: a bad line denies its user and no one else.
func TestLoadRejectsUsers(t *testing.T) {
	good, err := config.EncodeUser(exampleUsers()[1])
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, next string) string { return strings.Replace(string(good), old, next, 1) }
	for _, tc := range []struct{ name, line, say string }{
		{"unknown field", with(`"uid"`, `"onlyOnSundays":true,"uid"`), `unknown field "onlyOnSundays"`},
		{"no JSON", "{\n", "unexpected EOF"},
		{"two values", strings.TrimSpace(string(good)) + "{}\n", "after the end"},
		{"unknown method", with(`"methods":["PublicKey"]`, `"methods":["hostbased"]`), `"hostbased" in "hostbased" is not a step`},
		{"no method", with(`"methods":["PublicKey"]`, `"methods":[]`), "no combination of methods"},
		{"method without its key", with(`"methods":["PublicKey"]`, `"methods":["PublicKey,PublicKey"]`), "2 times, but there are 1 keys"},
		{"method without its password", with(`"methods":["PublicKey"]`, `"methods":["PublicKey,Password"]`), "there is no password"},
		{"method without its secret", with(`"methods":["PublicKey"]`, `"methods":["PublicKey,TOTP"]`), "there is no totp"},
		{"unknown access", with(`"ReadOnly"`, `"Append"`), `"Append" of mount`},
		{"no credential", `{"username":"x","uid":"u","namespace":"n","name":"x","methods":["PublicKey"],"mounts":[]}` + "\n", "0 keys and no certificates"},
		{"unknown volume", with(`"data"`, `"other"`), "volume that the listener does not have"},
		{"path upwards", with(`"access"`, `"subPath":"../bob","access"`), "relative and clean"},
		{"no home", with(`"path":"/"`, `"path":"/x"`), `no mount has the path "/"`},
		{"name with a slash", with(`"bob"`, `"b/ob"`), "is not valid"},
		{"same name", string(good) + with(`"70c1"`, `"70c2"`), "is a duplicate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := exampleListener()
			shard := []byte(tc.line)
			other, err := config.EncodeUser(exampleUsers()[0])
			if err != nil {
				t.Fatal(err)
			}
			shard = append(shard, other...)
			raw, err := config.EncodeListener(l, [][]byte{[]byte("key")}, [][]byte{shard})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			store(t, dir, map[string][]byte{config.ListenerFile: raw, config.HostKeyFile(0): []byte("key"), config.ShardFile(0): shard})
			set, err := config.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Rejected) != 1 {
				t.Fatalf("rejected: %+v", set.Rejected)
			}
			reason := set.Rejected[0].Reason
			if !strings.Contains(reason, tc.say) || !strings.Contains(reason, "users-00.jsonl line") {
				t.Errorf("rejected: %s", reason)
			}
			if last := set.Users[len(set.Users)-1]; last.Username != "acme.prod@2" {
				t.Errorf("users: %+v", set.Users)
			}
		})
	}
}

// TestLoadOneGeneration: files are read through ..data, so a set comes from one generation even if the links next to it belong
// to another; a relative volume is not resolved in it.
func TestLoadOneGeneration(t *testing.T) {
	d := configtest.New(t)
	d.Listener.Volumes[0].Path = "volume"
	d.AddUser("ada", "secret")
	first := d.Write(t)
	// A name in the directory itself does not count.
	if err := os.Remove(filepath.Join(d.Path, config.ShardFile(0))); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		set, err := config.Load(d.Path)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(d.Path, "volume"); set.Listener.Volumes[0].Path != want {
			t.Errorf("volume at %s, want %s", set.Listener.Volumes[0].Path, want)
		}
		if i == 1 && set.Digest == first {
			t.Error("the first generation was loaded again")
		}
		d.Listener.Authentication.MaxTries++
		d.Write(t)
	}
}

func FuzzDecodeUser(f *testing.F) {
	for _, u := range exampleUsers() {
		line, err := config.EncodeUser(u)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"username":"x","uid":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		u, err := config.DecodeUser(line)
		if err != nil {
			return
		}
		again, err := config.EncodeUser(u)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		if _, err := config.DecodeUser(bytes.TrimSpace(again)); err != nil {
			t.Errorf("not decoded again: %v: %s", err, again)
		}
	})
}
