package server

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// noted holds the events that a server emitted, from several goroutines. Tests read them when none emits.
type noted struct {
	mu     sync.Mutex
	events []event.Event
}

// Emit implements event.Sink.
func (n *noted) Emit(e event.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

// loaded returns a server with the configuration of a directory, and its log and events.
func loaded(t *testing.T, dir *configtest.Dir) (*Server, *snapshot.Snapshot, *strings.Builder, *noted) {
	t.Helper()
	current := built(t, dir)
	var log strings.Builder
	events := &noted{}
	get := func() *snapshot.Snapshot { return current }
	s := New(Options{Current: get, Auth: auth.New(get), Log: slog.New(slog.NewTextHandler(&log, nil)), Events: events})
	t.Cleanup(func() { s.Close() })
	return s, current, &log, events
}

func built(t *testing.T, dir *configtest.Dir) *snapshot.Snapshot {
	t.Helper()
	dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Build(files, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect returns a connection that a client of the server could have.
func connect(t *testing.T, s *Server) *conn {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	return newConn(s, here)
}

// grantOf returns the grant of a login with a password.
func grantOf(s *snapshot.Snapshot, username string) *auth.Grant {
	u, _ := s.Lookup(username)
	return &auth.Grant{
		Username: username, UID: u.UID, Account: u.Account, Namespace: u.Namespace, Mounts: u.Mounts,
		Steps: factor.Combination{factor.Password}, Source: netip.MustParseAddr("192.0.2.1"),
	}
}

// TestJoin: sessions are limited by user and by namespace, up to and including the limit, and leaving makes room for exactly one.
func TestJoin(t *testing.T) {
	dir := configtest.New(t)
	for _, name := range []string{"ada", "bob", "cleo"} {
		dir.AddUser(name, "secret")
	}
	dir.User(t, "ada").MaxConnections, dir.User(t, "bob").MaxConnections = 2, 9
	dir.User(t, "cleo").Namespace = "other"
	for _, name := range []string{"ada", "bob"} {
		dir.User(t, name).MaxNamespaceConnections = 3
	}
	s, current, _, _ := loaded(t, dir)
	now := time.Now()
	join := func(name string, want event.Reason) *conn {
		t.Helper()
		c := connect(t, s)
		got := s.sessions.join(c, grantOf(current, name), now)
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if in := c.settings != nil && c.account != nil; in != (want == "") {
			t.Errorf("%s: the settings are set: %v", name, in)
		}
		return c
	}
	first := join("ada", "")
	join("ada", "")
	refused := join("ada", event.MaxConnectionsOfUser)
	join("bob", "")
	join("bob", event.NamespaceConnections)
	join("cleo", "")
	if s.sessions.count() != 4 || s.Sessions() != 4 || len(s.sessions.all()) != 4 {
		t.Errorf("%d sessions", s.sessions.count())
	}
	s.sessions.leave(refused) // was never in
	join("bob", event.NamespaceConnections)
	s.sessions.leave(first)
	s.sessions.leave(first) // a second time changes nothing
	join("bob", "")
	join("bob", event.NamespaceConnections)
	for _, c := range s.sessions.all() {
		s.sessions.leave(c)
	}
	if len(s.sessions.conns)+len(s.sessions.byUID)+len(s.sessions.byNamespace) > 0 {
		t.Errorf("left over: %v %v", s.sessions.byUID, s.sessions.byNamespace)
	}
}

// TestJoinRechecks: a login that is no longer valid when it completes does not become a session.
func TestJoinRechecks(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, _ := loaded(t, dir)
	for name, change := range map[string]func(*auth.Grant){
		"another user of the name": func(g *auth.Grant) { g.UID = "other" },
		"no such user":             func(g *auth.Grant) { g.Username = "eve" },
		"other mounts":             func(g *auth.Grant) { g.Mounts = nil },
		"too few steps":            func(g *auth.Grant) { g.Steps = nil },
	} {
		g := grantOf(current, "ada")
		change(g)
		if got := s.sessions.join(connect(t, s), g, time.Now()); got != event.ChangedDuringLogin {
			t.Errorf("%s: %q", name, got)
		}
	}
	if s.sessions.count() != 0 || len(s.sessions.byUID) != 0 {
		t.Errorf("%d sessions", s.sessions.count())
	}
}

// TestShareOfANamespace: without a limit of its own a namespace gets what is free, if there are several, and otherwise all.
func TestShareOfANamespace(t *testing.T) {
	dir := configtest.New(t)
	dir.Listener.Limits.MaxConnections, dir.Listener.Limits.MaxConnectionsPerUser = 4, 4
	dir.AddUser("ada", "secret")
	one, oneSnapshot, _, _ := loaded(t, dir)
	joined := func(s *Server, current *snapshot.Snapshot, names ...string) (out []event.Reason) {
		for _, name := range names {
			out = append(out, s.sessions.join(connect(t, s), grantOf(current, name), time.Now()))
		}
		return out
	}
	if got := joined(one, oneSnapshot, "ada", "ada", "ada", "ada"); !slices.Equal(got, []event.Reason{"", "", "", ""}) {
		t.Errorf("one namespace: %q", got)
	}
	dir.AddUser("bob", "secret").Namespace = "other"
	two, twoSnapshot, _, _ := loaded(t, dir)
	const full = event.NamespaceConnections
	if got := joined(two, twoSnapshot, "ada", "ada", "ada", "bob", "bob"); !slices.Equal(got, []event.Reason{"", "", full, "", full}) {
		t.Errorf("two namespaces: %q", got)
	}
}

// TestOneSessionOfANamespace: a limit of one is a limit.
func TestOneSessionOfANamespace(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret").MaxNamespaceConnections = 1
	s, current, _, _ := loaded(t, dir)
	for _, want := range []event.Reason{"", event.NamespaceConnections} {
		if got := s.sessions.join(connect(t, s), grantOf(current, "ada"), time.Now()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestPlaceOfReceipts: receipts are shown only to their user, who may not change them, unless the user has a directory in that
// place.
func TestPlaceOfReceipts(t *testing.T) {
	s := &snapshot.Snapshot{}
	s.Listener.Volumes = []config.Volume{{Name: "data", Path: "/data"}}
	for path, hidden := range map[string]bool{
		"/": false, "/.receipts": true, "/.receipts/sub": true, "/.receipts2": false, "/a/.receipts": false,
	} {
		got := receiptsOf(s, "team/ada", []vfs.Mount{{Path: "/in"}, {Path: path}})
		if hidden && got != (vfs.Mount{}) || !hidden && (got.Path != "/.receipts" || got.Access != vfs.ReadOnly || !got.Internal || got.SubPath == "") {
			t.Errorf("beside %s: %+v", path, got)
		}
	}
}

// TestSweepThatPanics: a defect in the sweep is counted and logged, and the server continues.
func TestSweepThatPanics(t *testing.T) {
	s, _, log, events := loaded(t, configtest.New(t))
	s.watches = nil
	s.pass()
	if !slices.Equal(events.events, []event.Event{event.Refused{Reason: event.InternalError}}) || !strings.Contains(log.String(), "sweep of sessions panicked") {
		t.Errorf("%+v, logged %q", events.events, log)
	}
}

// TestEnded: a session's time is over at its end, not before, and a connection that is not a session has none.
func TestEnded(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	dir.AddUser("brief", "secret").NotAfter = &end
	s, current, _, _ := loaded(t, dir)
	ada, brief, nobody := connect(t, s), connect(t, s), connect(t, s)
	for c, name := range map[*conn]string{ada: "ada", brief: "brief"} {
		if reason := s.sessions.join(c, grantOf(current, name), time.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	for _, tc := range []struct {
		c      *conn
		now    time.Time
		reason event.Reason
		left   time.Duration
	}{
		{ada, end, "", sweep.Never},
		{nobody, end, "", sweep.Never},
		{brief, end.Add(-1), "", 1},
		{brief, end, event.UserExpired, 0},
		{brief, end.Add(time.Hour), event.UserExpired, 0},
	} {
		if reason, left := s.sessions.ended(tc.c, tc.now); reason != tc.reason || left != tc.left {
			t.Errorf("at %s: %q, %s left, want %q, %s", tc.now, reason, left, tc.reason, tc.left)
		}
	}
	// After a reload, the new end applies.
	later := end.Add(time.Hour)
	dir.User(t, "brief").NotAfter = &later
	dir.Remove("ada")
	gone := s.sessions.revoke(built(t, dir), time.Now())
	if len(gone) != 1 || gone[ada] != event.UserRemoved {
		t.Errorf("revoked: %v", gone)
	}
	if reason, left := s.sessions.ended(brief, end); reason != "" || left != time.Hour {
		t.Errorf("%q, %s left", reason, left)
	}
}

// TestSettings: a session gets all of its mounts' and its listener's settings.
func TestSettings(t *testing.T) {
	g := &auth.Grant{Mounts: []snapshot.Mount{
		{Path: "/", Dir: "/data", SubPath: "ada", Access: config.ReadWrite},
		{Path: "/in", Dir: "/in", Access: config.CreateOnly, ListNames: true},
		{Path: "/out", Dir: "/out", SubPath: "x", Access: config.ReadOnly, IgnoreAttributes: true},
	}}
	want := []vfs.Mount{
		{Path: "/", Volume: "/data", SubPath: "ada", Access: vfs.ReadWrite},
		{Path: "/in", Volume: "/in", Access: vfs.CreateOnly, ListNames: true},
		{Path: "/out", Volume: "/out", SubPath: "x", Access: vfs.ReadOnly, IgnoreAttributes: true},
	}
	u := &snapshot.User{}
	for uploads, want := range map[config.Uploads]vfs.Uploads{
		{}:                                    {},
		{Publish: config.PublishOnClose}:      {OnClose: true},
		{Publish: config.PublishImmediate}:    {},
		{Incomplete: config.IncompleteDelete}: {DeleteIncomplete: true},
		{Incomplete: config.IncompleteKeep}:   {},
		{SyncOnClose: true}:                   {Sync: true},
		{Checksum: config.ChecksumSHA256}:     {Checksum: true},
	} {
		s := &snapshot.Snapshot{}
		s.Listener.Uploads, s.Listener.SoftwareVersion = uploads, "Acme_1"
		if got := newSettings(s, u, g); got.uploads != want || got.grant != g || got.user != u || !strings.Contains(got.software, "Acme_1") {
			t.Errorf("%+v: %+v", uploads, got)
		}
	}
	if got := newSettings(&snapshot.Snapshot{}, u, g).mounts; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestChannelPlaces: a connection has ten channels at most, only for sessions, and none once the server shuts down.
func TestChannelPlaces(t *testing.T) {
	s, _, _, _ := loaded(t, configtest.New(t))
	c := connect(t, s)
	c.lastUsed = time.Time{}
	if reason, text := c.openChannel("direct-tcpip"); reason != ssh.UnknownChannelType || text == "" || c.channels != 0 || !c.lastUsed.IsZero() {
		t.Errorf("%v %q, %d channels", reason, text, c.channels)
	}
	for i := range 10 {
		if reason, text := c.openChannel("session"); reason != 0 || text != "" || c.lastUsed.IsZero() {
			t.Errorf("channel %d: %v %q", i+1, reason, text)
		}
	}
	c.lastUsed = time.Time{}
	if reason, text := c.openChannel("session"); reason != ssh.ResourceShortage || text == "" || !c.lastUsed.IsZero() {
		t.Errorf("channel 11: %v %q", reason, text)
	}
	if c.channelClosed(); c.lastUsed.IsZero() {
		t.Error("closing a channel is activity")
	}
	if _, text := c.openChannel("session"); text != "" {
		t.Errorf("after one was closed: %q", text)
	}
	c.channelClosed()
	s.admission.Close()
	if reason, text := c.openChannel("session"); reason != ssh.ResourceShortage || !strings.Contains(text, "shutting down") || c.channels != 9 {
		t.Errorf("during shutdown: %v %q", reason, text)
	}
}

// TestFirstEndCounts: a connection ends once, for the first reason, and only what ends a session is an event.
func TestFirstEndCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		end     func(*conn)
		reason  event.Reason
		revoked bool
		events  int
	}{
		"abort":  {func(c *conn) { c.abort("one"); c.End("two"); c.revoke("three") }, "one", false, 0},
		"end":    {func(c *conn) { c.End("one"); c.revoke("two"); c.abort("three"); c.End("four") }, "one", false, 1},
		"revoke": {func(c *conn) { c.revoke("one"); c.End("two"); c.abort("three") }, "one", true, 1},
		"none":   {func(*conn) {}, "", false, 0},
	} {
		s, _, _, events := loaded(t, configtest.New(t))
		c := connect(t, s)
		tc.end(c)
		if c.closed() != tc.reason || c.revoked.Load() != tc.revoked || (c.ctx.Err() != nil) != (name != "none") {
			t.Errorf("%s: closed for %q, revoked %v, %v", name, c.closed(), c.revoked.Load(), c.ctx.Err())
		}
		if len(events.events) != tc.events || tc.events > 0 && events.events[0] != (event.SessionEnding{Reason: tc.reason}) {
			t.Errorf("%s: %+v", name, events.events)
		}
	}
}

// TestFewDescriptors: the log warns once, if the process cannot have as many connections as configured.
func TestFewDescriptors(t *testing.T) {
	s, current, log, _ := loaded(t, configtest.New(t))
	for most, want := range map[int]int{100: 0, 101: 0, 99: 1} {
		s.warned, s.admission.MostConnections = sync.Once{}, most
		log.Reset()
		s.fewDescriptors(current)
		s.fewDescriptors(current)
		if got := strings.Count(log.String(), "RLIMIT_NOFILE"); got != want {
			t.Errorf("%d of 100: %d warnings", most, got)
		}
	}
}

// TestBlockedLog: while the audit log is blocked, connections are refused, and sessions wait.
func TestBlockedLog(t *testing.T) {
	s, current, _, _ := loaded(t, configtest.New(t))
	if s.auditBlocked() {
		t.Error("without a log")
	}
	var blocked time.Duration
	s.Blocked = func() time.Duration { return blocked }
	for blocked = range map[time.Duration]bool{0: false, 1: true, time.Minute: true} {
		if got := s.auditBlocked(); got != (blocked > 0) {
			t.Errorf("%s: %v", blocked, got)
		}
		want := event.Reason("")
		if blocked > 0 {
			want = event.AuditLogBlocked
		}
		c := connect(t, s)
		c.client = netip.MustParseAddr("192.0.2.1")
		if got := s.checkAccept(c, current); got != want {
			t.Errorf("%s: %q, want %q", blocked, got, want)
		}
	}
	if got := s.checkAccept(connect(t, s), nil); got != event.NotConfigured {
		t.Errorf("without a configuration: %q", got)
	}
}
