package auth

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

func load(t *testing.T, dir *configtest.Dir) *snapshot.Snapshot {
	t.Helper()
	dir.Write(t)
	set, err := config.Load(dir.Path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Build(set, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPasswordTime: a password costs the same for every kind of user. The bound is wide,
// for a hash takes 20 ms and everything else together some microseconds.
func TestPasswordTime(t *testing.T) {
	key, _ := configtest.Key(t)
	past := time.Now().Add(-time.Hour)
	dir := configtest.New(t)
	dir.AddUser("password", "secret")
	dir.AddUser("key", "", key.PublicKey())
	dir.AddUser("both", "secret", key.PublicKey()).Mode = config.ModeAllOf
	dir.AddUser("expired", "secret").NotAfter = &past
	s := load(t, dir)
	l := New(func() *snapshot.Snapshot { return s }).NewLogin(t.Context(), netip.MustParseAddr("192.0.2.1"), nil)

	// The shortest of some tries: what else the machine does makes single ones longer.
	shortest := func(user, password string) time.Duration {
		best := time.Hour
		for range 6 {
			begin := time.Now()
			l.checkPassword(user, Password, nil, []byte(password))
			best = min(best, time.Since(begin))
		}
		return best
	}
	want := shortest("password", "wrong")
	for _, tc := range []struct{ user, password string }{
		{"nobody", "wrong"},
		{"nobody", ""},
		{"nobody", string(make([]byte, 5000))},
		{"key", "wrong"},
		{"both", "wrong"},
		{"both", "secret"},
		{"expired", "secret"},
		{"expired", "wrong"},
		{"password", ""},
	} {
		got := shortest(tc.user, tc.password)
		t.Logf("%-8s %v (wrong password of a known user: %v)", tc.user, got, want)
		if got < want/2 || got > 2*want {
			t.Errorf("%s: %v, a known user's wrong password %v", tc.user, got, want)
		}
	}
}

// TestPasswordQueue: verifications that do not come to their turn end with the login's
// time, and the memory in use at a time is bounded.
func TestPasswordQueue(t *testing.T) {
	v := newVerifier()
	if !v.memory.TryAcquire(passwordMemoryKiB) {
		t.Fatal("the whole memory cannot be had")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := v.verify(ctx, nil, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the deadline, have %v", err)
	}
	v.memory.Release(passwordMemoryKiB)
	if ok, err := v.verify(t.Context(), nil, []byte("x")); ok || err != nil {
		t.Errorf("no password: %v, %v", ok, err)
	}
	if per := v.decoy.MemoryKiB(); passwordMemoryKiB/per < 2 {
		t.Errorf("only %d verifications at a time", passwordMemoryKiB/per)
	}
}

func TestPasswordQueueReason(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s := load(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := New(func() *snapshot.Snapshot { return s }).NewLogin(ctx, netip.Addr{}, nil)
	for _, user := range []string{"ada", "nobody"} {
		if g, reason := l.checkPassword(user, Password, nil, []byte("secret")); g != nil || reason != PasswordQueueFull {
			t.Errorf("%s: %v, %s", user, g, reason)
		}
	}
}
