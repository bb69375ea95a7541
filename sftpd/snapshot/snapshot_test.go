package snapshot_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

var inside, outside = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")

// TestBuild: the daemon uses the settings of the listener's file.
func TestBuild(t *testing.T) {
	dir := configtest.New(t)
	dir.Listener.AllowFrom = []string{"192.0.2.0/24"}
	dir.Listener.Sources.ExemptFrom = []string{"198.51.100.0/24"}
	dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"192.0.2.0/24"}}
	dir.Listener.Authentication.Methods = []string{config.MethodPublicKey}
	dir.Listener.Authentication.SharedCodes = "data"
	digest := dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s, err := snapshot.Build(files, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if s.Digest != digest || !s.LoadedAt.Equal(now) || s.StatusKey == "" || s.StatusKey != config.StatusKey(dir.HostKeys) {
		t.Errorf("digest %s, loaded at %s, status key %q", s.Digest, s.LoadedAt, s.StatusKey)
	}
	if s.String() != "files/public@"+digest[:12] || s.CodesVolume() != dir.Volume() {
		t.Errorf("%s, codes in %q", s, s.CodesVolume())
	}
	if !s.Offers(config.MethodPublicKey) || s.Offers(config.MethodPassword) {
		t.Error("other methods are offered than those of the list")
	}
	if !s.AllowFrom.Admits(inside) || s.AllowFrom.Admits(outside) || s.Exempt.Contains(inside) || !s.Exempt.Contains(outside) ||
		!s.Proxies.Contains(inside) || s.Proxies.Contains(outside) {
		t.Error("other networks than those of the lists")
	}
	dir.Listener.ProxyProtocol, dir.Listener.Authentication.SharedCodes = nil, ""
	if s, err = build(t, dir); err != nil || s.Proxies != nil || s.CodesVolume() != "" {
		t.Errorf("%v; proxies %v, codes in %q", err, s.Proxies, s.CodesVolume())
	}
}

// TestUnusableListener: unusable settings give an error that names them, including those that config.Read would refuse.
func TestUnusableListener(t *testing.T) {
	dir := configtest.New(t)
	dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for say, change := range map[string]func(*config.Listener){
		"None":                      func(l *config.Listener) { l.CryptoPolicy = "None" },
		"settings for 0 host keys":  func(l *config.Listener) { l.HostKeys = nil },
		"allowFrom: ":               func(l *config.Listener) { l.AllowFrom = []string{"x"} },
		"sources.exemptFrom: ":      func(l *config.Listener) { l.Sources.ExemptFrom = []string{"x"} },
		"proxyProtocol.trustedFrom": func(l *config.Listener) { l.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"x"}} },
	} {
		changed := *files
		change(&changed.Listener)
		if s, err := snapshot.Build(&changed, nil, time.Now()); err == nil || s != nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %q", err, say)
		}
	}
}

// TestUser: a user's record becomes the data that logins are checked against.
func TestUser(t *testing.T) {
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	dir := configtest.New(t)
	dir.Listener.Volumes[0].IgnoreAttributes = true
	first, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	u := withPassword(dir, "ada", first.PublicKey(), second.PublicKey())
	u.NotAfter, u.AllowFrom = &end, []string{"192.0.2.0/24"}
	u.Keys[0].NotBefore, u.Keys[0].NotAfter = &end, &end
	later := end.Add(time.Hour)
	u.Keys[0].NotAfter = &later
	u.Keys[1].From = []string{"192.0.2.0/24"}
	u.TOTP = &config.TOTP{Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", Digits: 6, Algorithm: "SHA1"}
	u.Mounts = []config.Mount{{Path: "/", Volume: "data", SubPath: "ada", Access: config.WriteOnly, ListNames: true}}
	withPassword(dir, "grace")
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := s.Lookup("ada")
	if !ok {
		t.Fatalf("rejected: %v", s.Rejected)
	}
	if got.Account != "team/ada" || got.UID != "uid-ada" || !s.HasUser("uid-ada") || s.HasUser("uid-bob") || got.Password.Text != u.Password.Hash {
		t.Errorf("%+v", got)
	}
	if got.TOTP == (totp.Key{}) || !got.AllowFrom.Admits(inside) || got.AllowFrom.Admits(outside) {
		t.Errorf("TOTP %v, from %v", got.TOTP, got.AllowFrom)
	}
	if want := (snapshot.Mount{Path: "/", Dir: dir.Volume(), SubPath: "ada", Access: config.WriteOnly, ListNames: true, IgnoreAttributes: true}); len(got.Mounts) != 1 || got.Mounts[0] != want {
		t.Errorf("mounts %+v, want %+v", got.Mounts, want)
	}
	forever, _ := s.Lookup("grace")
	if got.Expired(end.Add(-time.Nanosecond)) || !got.Expired(end) || forever.Expired(end.AddDate(1000, 0, 0)) {
		t.Error("not at its end, a login has ended")
	}
	timed, ok1 := got.Key(first.PublicKey().Marshal())
	placed, ok2 := got.Key(second.PublicKey().Marshal())
	if !ok1 || !ok2 {
		t.Fatal("a key is missing")
	}
	if timed.Begun(end.Add(-time.Nanosecond)) || !timed.Begun(end) || timed.Expired(later.Add(-time.Nanosecond)) || !timed.Expired(later) {
		t.Error("a key's time differs from its record")
	}
	if !placed.Begun(time.Time{}) || placed.Expired(end.AddDate(1000, 0, 0)) {
		t.Error("a key without a time has one")
	}
	if !timed.Admits(inside) || !timed.Admits(outside) || !placed.Admits(inside) || placed.Admits(outside) {
		t.Error("a key is admitted from other networks than it says")
	}
}

// TestKeyTwice: a duplicate key is accepted from the networks of both entries, unless one has a validity period.
func TestKeyTwice(t *testing.T) {
	key, _ := configtest.Key(t)
	line := configtest.Line(key.PublicKey())
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	none, in, out := config.Key{PublicKey: line}, config.Key{PublicKey: line, From: []string{"192.0.2.0/24"}}, config.Key{PublicKey: line, From: []string{"198.51.100.0/24"}}
	begins, ends := config.Key{PublicKey: line, NotBefore: &at}, config.Key{PublicKey: line, NotAfter: &at}
	for name, tc := range map[string]struct {
		keys            []config.Key
		inside, outside bool
		rejected        bool
	}{
		"one network":            {[]config.Key{in}, true, false, false},
		"both networks":          {[]config.Key{in, out}, true, true, false},
		"the same network twice": {[]config.Key{in, in}, true, false, false},
		"anywhere and a network": {[]config.Key{none, in}, true, true, false},
		"a network and anywhere": {[]config.Key{out, none}, true, true, false},
		"the first begins":       {[]config.Key{begins, none}, false, false, true},
		"the first ends":         {[]config.Key{ends, none}, false, false, true},
		"the second begins":      {[]config.Key{none, begins}, false, false, true},
		"the second ends":        {[]config.Key{none, ends}, false, false, true},
	} {
		dir := configtest.New(t)
		dir.AddUser("ada", "", key.PublicKey()).Keys = tc.keys
		s, err := build(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		u, ok := s.Lookup("ada")
		if ok == tc.rejected {
			t.Errorf("%s: %+v, rejected: %v", name, u, s.Rejected)
			continue
		}
		if tc.rejected {
			if !strings.Contains(s.Rejected[0].Reason, "key 1: duplicate key with a validity period") {
				t.Errorf("%s: %s", name, s.Rejected[0].Reason)
			}
			continue
		}
		k, _ := u.Key(key.PublicKey().Marshal())
		if k.Fingerprint == "" || k.Admits(inside) != tc.inside || k.Admits(outside) != tc.outside {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

// TestConnectionsOfAUser: the smaller of the listener's and the user's limit applies.
func TestConnectionsOfAUser(t *testing.T) {
	for _, tc := range []struct{ listener, user, want int }{{10, 0, 10}, {10, 1, 1}, {10, 3, 3}, {10, 30, 10}} {
		dir := configtest.New(t)
		dir.Listener.Limits.MaxConnectionsPerUser = tc.listener
		withPassword(dir, "ada").MaxConnections = tc.user
		s, err := build(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if u, _ := s.Lookup("ada"); u.MaxConnections != tc.want {
			t.Errorf("%+v: %d", tc, u.MaxConnections)
		}
	}
}

// withPassword adds a user whose password is checked quickly.
func withPassword(dir *configtest.Dir, username string, keys ...ssh.PublicKey) *config.User {
	u := dir.AddUser(username, "", keys...)
	u.Password = &config.Password{Hash: bcryptHash}
	return u
}

// TestPossible: a combination counts only if each of its steps is available to the user and on this listener.
func TestPossible(t *testing.T) {
	key, _ := configtest.Key(t)
	for name, tc := range map[string]struct {
		offered []string
		methods []string
		want    int
	}{
		"all":                        {[]string{config.MethodPublicKey, config.MethodPassword}, []string{"PublicKey", "Password", "PublicKey,Password"}, 3},
		"passwords only":             {[]string{config.MethodPassword}, []string{"PublicKey", "Password", "PublicKey,Password"}, 1},
		"keys only":                  {[]string{config.MethodPublicKey}, []string{"PublicKey", "Password", "PublicKey,Password"}, 1},
		"two keys, and there is one": {[]string{config.MethodPublicKey, config.MethodPassword}, []string{"PublicKey,PublicKey", "Password"}, 1},
	} {
		dir := configtest.New(t)
		dir.Listener.Authentication.Methods = tc.offered
		u := withPassword(dir, "ada", key.PublicKey())
		u.Methods, u.Certificates = tc.methods, true
		s, err := build(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := s.Lookup("ada"); !ok || len(u.Methods) != tc.want {
			t.Errorf("%s: %v, rejected %v", name, u, s.Rejected)
		}
	}
}

// TestRejectedUIDs: /configz names 100 rejected users that have a UID.
func TestRejectedUIDs(t *testing.T) {
	s := &snapshot.Snapshot{Rejected: []config.Rejection{{Username: "none"}}}
	for i := range 150 {
		s.Rejected = append(s.Rejected, config.Rejection{UID: fmt.Sprint("uid-", i)})
	}
	got := s.RejectedUIDs()
	if len(got) != 100 || got[0] != "uid-0" || got[99] != "uid-99" {
		t.Errorf("%d: %v", len(got), got)
	}
}

// TestSecondOfAName: of two users with one name, the second is rejected.
func TestSecondOfAName(t *testing.T) {
	dir := configtest.New(t)
	withPassword(dir, "ada")
	withPassword(dir, "ada").UID = "uid-second"
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rejected) != 1 || s.Rejected[0].UID != "uid-second" || s.Rejected[0].Username != "ada" || !s.HasUser("uid-ada") || s.HasUser("uid-second") {
		t.Errorf("rejected %+v", s.Rejected)
	}
}
