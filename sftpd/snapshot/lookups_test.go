package snapshot_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestRefusedUsers: users who are suspended or expired cannot log in, but are known: the reason is that of their record, and their
// own keys are distinguished from a stranger's.
func TestRefusedUsers(t *testing.T) {
	dir := configtest.New(t)
	key, _ := configtest.Key(t)
	dir.AddUser("ada", "", key.PublicKey())
	var keys []string
	for range 3 {
		k, _ := configtest.Key(t)
		keys = append(keys, ssh.FingerprintSHA256(k.PublicKey()))
	}
	dir.Listener.RefusedUsers = []config.RefusedUser{
		{Username: "bob", UID: "uid-bob", Reason: config.RefusedSuspended, Keys: keys[:2]},
		{Username: "eve", UID: "uid-eve", Reason: config.RefusedExpired},
	}
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		unknown, gone event.Reason
		uid           string
		knows         bool
	}{
		"ada":    {event.UnknownUser, event.UserRemoved, "uid-ada", true}, // the reasons are not asked for
		"bob":    {event.UserSuspended, event.UserSuspended, "uid-bob", true},
		"eve":    {event.UserExpired, event.UserExpired, "uid-eve", true},
		"nobody": {event.UnknownUser, event.UserRemoved, "", false},
	} {
		uid := "uid-" + name
		if unknown, gone := s.WhyUnknown(name), s.WhyGone(uid); unknown != tc.unknown || gone != tc.gone {
			t.Errorf("%s: %q and %q, want %q and %q", name, unknown, gone, tc.unknown, tc.gone)
		}
		if got := s.UIDOf(name); got != tc.uid || s.KnowsUser(uid) != tc.knows || s.HasUser(uid) != (name == "ada") {
			t.Errorf("%s: UID %q, known: %v", name, got, s.KnowsUser(uid))
		}
	}
	for _, tc := range []struct {
		name, key string
		known     bool
	}{
		{"bob", keys[0], true},
		{"bob", keys[1], true},
		{"bob", keys[2], false},
		{"eve", keys[0], false},
		{"nobody", keys[0], false},
		{"ada", ssh.FingerprintSHA256(key.PublicKey()), false},
	} {
		if got := s.KnownKey(tc.name, tc.key); got != tc.known {
			t.Errorf("%s, %s: %v", tc.name, tc.key, got)
		}
	}
}

// TestKeysEnding: a key ends in the period that its time is in, which includes the end of the period and not its beginning; a key
// without an end does not.
func TestKeysEnding(t *testing.T) {
	dir := configtest.New(t)
	first, _ := configtest.Key(t)
	second, _ := configtest.Key(t)
	forever, _ := configtest.Key(t)
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	later := end.Add(time.Hour)
	u := dir.AddUser("ada", "", first.PublicKey(), forever.PublicKey(), second.PublicKey())
	u.Keys[0].NotAfter, u.Keys[2].NotAfter = &end, &later
	dir.AddUser("bob", "", first.PublicKey()).Keys[0].NotAfter = &later
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	one, two := ssh.FingerprintSHA256(first.PublicKey()), ssh.FingerprintSHA256(second.PublicKey())
	for _, tc := range []struct {
		after, until time.Time
		want         []string
	}{
		{time.Time{}, end.Add(-1), nil},
		{time.Time{}, end, []string{"ada " + one}},
		{end.Add(-1), end, []string{"ada " + one}},
		{end, later.Add(-1), nil},
		{end, later, []string{"ada " + two, "bob " + one}},
		{end.Add(-1), later, []string{"ada " + one, "ada " + two, "bob " + one}},
		{later, later.AddDate(100, 0, 0), nil},
	} {
		var got []string
		s.KeysEnding(tc.after, tc.until, func(u *snapshot.User, k *snapshot.Key) { got = append(got, u.Username+" "+k.Fingerprint) })
		slices.Sort(got)
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) {
			t.Errorf("from %s to %s: %q, want %q", tc.after, tc.until, got, tc.want)
		}
	}
}

// TestEventsAndReceipts: the keys of events and receipts are those of the configuration, and an account has the sinks of its user.
func TestEventsAndReceipts(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.EventsKey != nil || s.Receipts != nil || s.EventSinks("team/ada") != nil {
		t.Errorf("without any: key %q, receipts %v", s.EventsKey, s.Receipts)
	}
	dir.RecordEvents(config.EventSink{Name: "files", Types: []events.Type{events.FilePublished}, Selected: true})
	dir.User(t, "ada").EventSinks = []string{"files"}
	dir.AddUser("bob", "secret").Namespace = "other"
	dir.IssueReceipts(t)
	if s, err = build(t, dir); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.EventsKey, configtest.EventsKey()) || s.Receipts == nil {
		t.Errorf("key %q, receipts %v", s.EventsKey, s.Receipts)
	}
	if got := s.EventSinks("team/ada"); !slices.Equal(got, []string{"files"}) || len(s.EventSinks("other/bob")) > 0 {
		t.Errorf("sinks %q and %q", got, s.EventSinks("other/bob"))
	}
	if got := s.Accounts(); !slices.Equal(got, []string{"other/bob", "team/ada"}) {
		t.Errorf("accounts %q", got)
	}
	if got := s.Directories(dir.Volume()); !maps.Equal(got, map[string]bool{"ada": true, "bob": true}) || len(s.Directories("/other")) > 0 {
		t.Errorf("directories %v", got)
	}
}
