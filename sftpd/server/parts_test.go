package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/sftp"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// entered returns a connection that is a session of a user, without a channel yet.
func entered(t *testing.T, s *Server, current *snapshot.Snapshot, username string) *conn {
	t.Helper()
	c := connect(t, s)
	if reason := s.sessions.join(c, grantOf(current, username), time.Now()); reason != "" {
		t.Fatal(reason)
	}
	c.described = c.describeGrant(c.settings.grant)
	c.report = report.New(c.described, s.emit, c.account.Logged)
	c.opener = s.open.Of(c.reportOpen)
	return c
}

// TestDescriptorsOfDirectories: open directories count for their user until they are closed; those that could not be opened do
// not count.
func TestDescriptorsOfDirectories(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, _ := loaded(t, dir)
	s.descriptors.Limit = 2 // so each user may have one
	c := entered(t, s, current, "ada")
	for range 3 {
		missing := c.settings.mounts[0].Volume
		c.settings.mounts[0].Volume = filepath.Join(missing, "missing")
		if tree, _, err := c.openTree(); tree != nil || err == nil || errors.Is(err, errDescriptors) {
			t.Errorf("a volume that is missing: %v, %v", tree, err)
		}
		c.settings.mounts[0].Volume = missing
		tree, release, err := c.openTree()
		if err != nil {
			t.Fatal(err)
		}
		if second, _, err := c.openTree(); second != nil || !errors.Is(err, errDescriptors) {
			t.Errorf("more than its share: %v, %v", second, err)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
		release()
	}
	s.Journal = func(*event.Connection) vfs.Journal { panic("test") }
	func() {
		defer func() { _ = recover() }()
		_, _, _ = c.openTree()
	}()
	if !s.descriptors.Acquire("uid-ada") {
		t.Error("a descriptor is lost in a panic")
	}
}

// full is a Journal that has no room.
type full struct{ vfs.Journal }

var errFull = errors.New("no room for the event")

func (full) Admits() error { return errFull }

// TestJournalOfASession: uploads are recorded by the journal of their connection, if there is one.
func TestJournalOfASession(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, _ := loaded(t, dir)
	c := entered(t, s, current, "ada")
	var of *event.Connection
	for name, tc := range map[string]struct {
		journal func(*event.Connection) vfs.Journal
		want    error
	}{
		"none":                     {nil, nil},
		"none for this connection": {func(*event.Connection) vfs.Journal { return nil }, nil},
		"one":                      {func(c *event.Connection) vfs.Journal { of = c; return full{} }, errFull},
	} {
		s.Journal = tc.journal
		tree, release, err := c.openTree()
		if err != nil {
			t.Fatal(err)
		}
		f, err := tree.OpenFile("/"+name, os.O_WRONLY|os.O_CREATE, 0o600)
		if (err == nil) != (tc.want == nil) || err != nil && err.Error() != tc.want.Error() {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if err == nil {
			_, _ = f.Finish(true)
		}
		_ = tree.Close()
		release()
	}
	if of != c.described {
		t.Errorf("the journal is of %+v", of)
	}
}

// using adds an SFTP session to a connection, and returns its client.
func using(t *testing.T, c *conn) *client.Client {
	t.Helper()
	tree, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: t.TempDir(), Access: vfs.ReadWrite}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	near, far := net.Pipe()
	f := sftp.NewSession(far, tree, sftp.Options{Observe: c.report.Observe, Opened: c.opener.Opened})
	c.mu.Lock()
	c.files[f] = struct{}{}
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.Serve(context.WithoutCancel(t.Context())) // it ends with its client: events come one at a time
		far.Close()
	}()
	cl, err := client.NewClientPipe(near, near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close(); <-ended })
	return cl
}

// TestFilesOfAConnection: the open files and the activity of a connection are those of all its channels.
func TestFilesOfAConnection(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, events := loaded(t, dir)
	c := entered(t, s, current, "ada")
	if c.OpenFiles() != 0 || !c.reportOpen(time.Now().Add(time.Hour)).IsZero() {
		t.Errorf("without a channel, %d files are open", c.OpenFiles())
	}
	first, second := using(t, c), using(t, c)
	c.lastUsed = time.Time{}
	before := time.Now()
	create := func(cl *client.Client, name string) *client.File {
		t.Helper()
		f, err := cl.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a := create(first, "/a")
	if c.OpenFiles() != 1 || c.LastActivity().Before(before) {
		t.Errorf("%d files are open, last used %s before", c.OpenFiles(), before.Sub(c.LastActivity()))
	}
	create(first, "/b")
	create(second, "/c")
	if c.OpenFiles() != 3 {
		t.Errorf("%d files are open, want 3", c.OpenFiles())
	}
	later := time.Now().Add(time.Hour)
	c.lastUsed = later
	if !c.LastActivity().Equal(later) {
		t.Errorf("last used %s, want %s", c.LastActivity(), later)
	}
	next := c.reportOpen(later)
	var open []string
	for _, e := range events.events {
		if e, ok := e.(event.TransferOpen); ok {
			open = append(open, e.Path)
			if e.User != "ada" {
				t.Errorf("%+v", e)
			}
		}
	}
	slices.Sort(open)
	if got := strings.Join(open, " "); got != "/a /b /c" || !next.After(later) || next.After(later.Add(time.Hour)) {
		t.Errorf("still open: %s; again after %s", got, next.Sub(later))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if c.OpenFiles() != 2 {
		t.Errorf("%d files are open, want 2", c.OpenFiles())
	}
}

// TestNextLineOfAConnection: a connection is checked again when the first of its files is due, on whichever channel.
func TestNextLineOfAConnection(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, _ := loaded(t, dir)
	for range 5 { // channels are in no order
		c := entered(t, s, current, "ada")
		old, recent := using(t, c), using(t, c)
		if _, err := old.Create("/old"); err != nil {
			t.Fatal(err)
		}
		reported := time.Now().Add(time.Hour)
		c.reportOpen(reported) // from now on, that is due later than a new one
		if _, err := recent.Create("/recent"); err != nil {
			t.Fatal(err)
		}
		if next := c.reportOpen(time.Now()); !next.Before(reported) || next.IsZero() {
			t.Errorf("next at %s, want before %s", next, reported)
		}
		s.sessions.leave(c)
	}
}

// TestPanicked: a panic ends only its own connection. Before the login, its source is also penalized; a user is not.
func TestPanicked(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.Listener.Sources.Penalties = true
	for name, in := range map[string]bool{"before the login": false, "in a session": true} {
		t.Run(name, func(t *testing.T) {
			s, current, log, events := loaded(t, dir)
			c := connect(t, s)
			if in {
				c = entered(t, s, current, "ada")
			}
			if reason := c.place.Connect(netip.MustParseAddr("192.0.2.7"), current); reason != "" {
				t.Fatal(reason)
			}
			t.Cleanup(c.place.Leave)
			if c.Panicked(nil); c.closed() != "" || len(events.events) > 0 {
				t.Errorf("without a panic: %q, %+v", c.closed(), events.events)
			}
			c.Panicked("the value")
			if c.closed() != event.InternalError || !strings.Contains(log.String(), "the value") || !strings.Contains(log.String(), c.about.ID) {
				t.Errorf("closed for %q, log %s", c.closed(), log)
			}
			if !slices.Contains(events.events, event.Event(event.Refused{Reason: event.InternalError})) {
				t.Errorf("%+v", events.events)
			}
			if penalized := s.Penalized() > 0; penalized == in {
				t.Errorf("its source is penalized: %v", penalized)
			}
		})
	}
}

// TestRefusedLoginsAreNoted: the last refusal is recorded for the owner of a login: its reason, the address without port and
// zone, and the key that was offered last. Nothing is kept for names that no user has.
func TestRefusedLoginsAreNoted(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	for name, tc := range map[string]struct {
		user, client string
		keys         []string
		noted        bool
		source, key  string
	}{
		"a user":             {"ada", "192.0.2.7", []string{"k1", "k2"}, true, "192.0.2.7", "k2"},
		"a mapped address":   {"ada", "::ffff:192.0.2.7", nil, true, "192.0.2.7", ""},
		"a zone":             {"ada", "fe80::1%eth0", []string{"k1"}, true, "fe80::1", "k1"},
		"no address":         {"ada", "", nil, true, "", ""},
		"an unknown name":    {"eve", "192.0.2.7", nil, false, "", ""},
		"no name":            {"", "192.0.2.7", nil, false, "", ""},
		"a name with spaces": {" ada", "192.0.2.7", nil, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _, events := loaded(t, dir)
			s.KeyUse = keyuse.New()
			c := connect(t, s)
			if tc.client != "" {
				c.client = netip.MustParseAddr(tc.client)
			}
			before := time.Now().UTC().Truncate(time.Second)
			(&login{conn: c}).loginRefused(event.LoginRefused{
				Connection: &event.Connection{User: tc.user}, Reason: event.WrongPassword, KeysOffered: tc.keys,
			})
			if len(events.events) != 1 {
				t.Errorf("%d events", len(events.events))
			}
			got := s.KeyUse.Since("", 0, 100).Refusals
			if len(got) > 0 != tc.noted {
				t.Fatalf("noted %+v", got)
			}
			if !tc.noted {
				return
			}
			if r := got[0]; r.UID != "uid-ada" || r.Reason != string(event.WrongPassword) || r.Source != tc.source || r.Fingerprint != tc.key ||
				r.Count != 1 || r.Last.Before(before) || r.Last.After(time.Now()) {
				t.Errorf("noted %+v", r)
			}
		})
	}
}

// named is what is known about a client after the key exchange.
type named struct {
	ssh.ConnMetadata
	user string
}

func (n named) User() string { return n.user }

// TestDescriptionOfAnAttempt: a refused login has the name that the client gave, the account if there is one, and the steps up to
// the refused one. Descriptions of one connection do not change each other.
func TestDescriptionOfAnAttempt(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, _, _, _ := loaded(t, dir)
	c := connect(t, s)
	l := &login{conn: c, auth: s.Auth.NewLogin(t.Context(), netip.Addr{}, nil, nil, nil)}
	if d := l.describeAttempt(""); d.User != "" || d.Account != "" || len(d.Methods) != 0 || d.ID != c.about.ID {
		t.Errorf("before the key exchange: %+v", d)
	}
	for user, account := range map[string]string{"ada": "team/ada", "eve": ""} {
		l.peer = named{user: user}
		d := l.describeAttempt(factor.Password)
		if d.User != user || d.Account != account || !slices.Equal(d.Methods, []string{"Password"}) {
			t.Errorf("%+v", d)
		}
	}
	if d := l.describeAttempt(""); len(d.Methods) != 0 {
		t.Errorf("without a refused step: %+v", d)
	}
	g := &auth.Grant{Username: "ada", Account: "team/ada", Steps: factor.Combination{factor.PublicKey, factor.Password}}
	if d := c.describeGrant(g); d.User != "ada" || d.Account != "team/ada" || !slices.Equal(d.Methods, []string{"PublicKey", "Password"}) || d.Certificate != nil {
		t.Errorf("a login: %+v", d)
	}
	if c.about.User != "" || c.about.Methods != nil {
		t.Errorf("what is known of the connection is now %+v", c.about)
	}
}

// TestPlansAreApplied: the sweep ends a session with or without a separate log line.
func TestPlansAreApplied(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, _ := loaded(t, dir)
	for _, tc := range []struct {
		plan    sweep.Plan
		reason  event.Reason
		revoked bool
	}{
		{sweep.Plan{Revoke: event.UserExpired}, event.UserExpired, true},
		{sweep.Plan{End: event.IdleTimeout}, event.IdleTimeout, false},
		{sweep.Plan{Revoke: event.UserExpired, End: event.IdleTimeout}, event.UserExpired, true},
		{sweep.Plan{}, "", false},
	} {
		c := entered(t, s, current, "ada")
		if c.Apply(tc.plan); c.closed() != tc.reason || c.revoked.Load() != tc.revoked {
			t.Errorf("%+v: closed for %q, revoked %v", tc.plan, c.closed(), c.revoked.Load())
		}
		s.sessions.leave(c)
	}
}

// TestWithoutAConfiguration: before the first configuration, no session is idle too long, and there are no host keys to prove.
func TestWithoutAConfiguration(t *testing.T) {
	s, _ := bare(t)
	if got := s.idleTimeout(); got != sweep.Never {
		t.Errorf("idle after %s", got)
	}
	if got := s.hostKeys(); got != nil {
		t.Errorf("host keys %v", got)
	}
	dir := configtest.New(t)
	s, current, _, _ := loaded(t, dir)
	if got := s.idleTimeout(); got != 10*time.Minute {
		t.Errorf("idle after %s", got)
	}
	if s.hostKeys() == nil || s.hostKeys() != current.CryptoAt(time.Now()).HostKeys {
		t.Error("no host keys")
	}
}
