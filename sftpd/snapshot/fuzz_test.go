package snapshot_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// FuzzBuild: a user's line becomes a login or a rejection, and a login has no more rights than its line: its keys, networks,
// expiration and mounts are those of the line.
func FuzzBuild(f *testing.F) {
	dir := configtest.New(f)
	dir.AddUser("ada", "secret")
	dir.Write(f)
	set, err := config.Load(dir.Path)
	if err != nil {
		f.Fatal(err)
	}
	end := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbYjtj0C9ZQKkh8vKSO0RVmkrg7c1GvmqOKwEqTzGOc"
	u := set.Users[0]
	for _, from := range [][]string{nil, {"192.0.2.0/24"}} {
		u.Keys, u.NotAfter, u.AllowFrom = []config.Key{{PublicKey: key, From: from}}, &end, from
		line, err := config.EncodeUser(u)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
		f.Add([]byte(strings.Replace(string(line), "argon2id", "argon2i", 1)))
		f.Add([]byte(strings.Replace(string(line), "ssh-ed25519", `from=\"10.0.0.0/8\" ssh-ed25519`, 1)))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		u, err := config.DecodeUser(line)
		if err != nil {
			return
		}
		if line, err = config.EncodeUser(u); err != nil {
			t.Fatal(err)
		}
		one := *set.Files
		one.Shards = []config.Shard{{Data: line}}
		s, err := snapshot.Build(&one, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if s.Users()+len(s.Rejected) != 1 {
			t.Fatalf("%d users, %d rejections", s.Users(), len(s.Rejected))
		}
		login, ok := s.Lookup(u.Username)
		if !ok {
			return
		}
		elsewhere := netip.MustParseAddr("233.252.0.1")
		if (login.Password != nil) != (u.Password != nil) || len(login.Methods) == 0 || len(login.Methods) > len(u.Methods) ||
			u.NotAfter != nil && !u.NotAfter.IsZero() && !login.Expired(u.NotAfter.Add(time.Second)) ||
			login.MaxConnections > s.Listener.Limits.MaxConnectionsPerUser || len(login.Mounts) != len(u.Mounts) {
			t.Errorf("%+v of %s", login, line)
		}
		nets, err := networks.Parse(u.AllowFrom)
		if err != nil || login.AllowFrom.Admits(elsewhere) != nets.Admits(elsewhere) {
			t.Errorf("%s may log in from %s", line, elsewhere)
		}
		anywhere := map[string]bool{}
		for _, k := range u.Keys {
			parsed, err := publickey.ParseLine(k.PublicKey)
			from, err2 := networks.Parse(k.From)
			if err != nil || err2 != nil || len(parsed.From) > 0 {
				t.Fatalf("%s is a login with the key %q", line, k.PublicKey)
			}
			wire := string(parsed.Marshal())
			anywhere[wire] = anywhere[wire] || from.Admits(elsewhere)
		}
		for wire, want := range anywhere {
			if k, ok := login.Key([]byte(wire)); !ok || k.Admits(elsewhere) != want {
				t.Errorf("%s: a key from %s: %v, want %v", line, elsewhere, !want, want)
			}
		}
	})
}
