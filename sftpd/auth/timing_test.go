package auth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

func load(t *testing.T, dir *configtest.Dir) *snapshot.Snapshot {
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

// guesses returns what a stranger may try, for every kind of user.
var guesses = []struct{ user, password string }{
	{"password", "wrong"},
	{"password", ""},
	{"password", "secret"},
	{"nobody", "wrong"},
	{"nobody", ""},
	{"nobody", string(make([]byte, 5000))},
	{"key", "wrong"},
	{"both", "wrong"},
	{"both", "secret"},
	{"code", "wrong"},
	{"code", "secret"},
	{"password-code", "wrong"},
	{"expired", "secret"},
	{"expired", "wrong"},
}

func anyone(string) bool { return true }

func nobodyBarred(string) bool { return false }

func stranger(t *testing.T) *Login {
	t.Helper()
	key, _ := configtest.Key(t)
	past := time.Now().Add(-time.Hour)
	dir := configtest.New(t)
	dir.AddUser("password", "secret")
	dir.AddUser("key", "", key.PublicKey())
	dir.AddUser("both", "secret", key.PublicKey()).Methods = []string{"PublicKey,Password"}
	totp := &config.TOTP{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Digits: 6, Algorithm: "SHA1"}
	u := dir.AddUser("code", "secret", key.PublicKey())
	u.Methods, u.TOTP = []string{"PublicKey,TOTP", "PublicKey,Password"}, totp
	u = dir.AddUser("password-code", "secret")
	u.Methods, u.TOTP = []string{"Password,TOTP"}, totp
	dir.AddUser("expired", "secret").NotAfter = &past
	s := load(t, dir)
	return New(func() *snapshot.Snapshot { return s }).NewLogin(t.Context(), netip.MustParseAddr("192.0.2.1"), anyone, nobodyBarred, nil)
}

// TestPasswordWork: every guess costs one hash of the same size.
func TestPasswordWork(t *testing.T) {
	l := stranger(t)
	hashes := 0
	l.auth.verifier.match = func(h password.Hash, given []byte) bool {
		hashes++
		if h.MemoryKiB() != password.Decoy().MemoryKiB() {
			t.Errorf("a hash of %d KiB", h.MemoryKiB())
		}
		return h.Verify(given)
	}
	for i, g := range guesses {
		l.checkPassword(g.user, []byte(g.password))
		if hashes != i+1 {
			t.Fatalf("%s: %d hashes after %d guesses", g.user, hashes, i+1)
		}
	}
	l.barred = func(string) bool { return true }
	for i, g := range guesses {
		grant, reason := l.checkPassword(g.user, []byte(g.password))
		if grant != nil || reason != event.LoginPenalized || hashes != len(guesses)+i+1 {
			t.Fatalf("%s barred: %v, %s, %d hashes", g.user, grant, reason, hashes)
		}
	}
}

// TestPasswordWorkOfForeignHashes: where all users have another kind of hash, every guess costs one hash of that kind.
func TestPasswordWorkOfForeignHashes(t *testing.T) {
	key, _ := configtest.Key(t)
	for cost, hash := range map[string]string{
		"bcrypt,5":    "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
		"sha512,1400": "$6$rounds=1400$anotherlongsalts$BIJq9mRCZh1kev4gsEFy0R5hLBKgZM.fwvpxgy31e6bRJqRdXTpSE8TJFJysi3GwDPeX9bz4aZklq669D26ai0",
	} {
		dir := configtest.New(t)
		dir.AddUser("password", "").Password = &config.Password{Hash: hash}
		dir.AddUser("key", "", key.PublicKey())
		s := load(t, dir)
		l := New(func() *snapshot.Snapshot { return s }).NewLogin(t.Context(), netip.Addr{}, anyone, nobodyBarred, nil)
		var worked []string
		l.auth.verifier.match = func(h password.Hash, given []byte) bool {
			worked = append(worked, h.Cost())
			return h.Verify(given)
		}
		for _, user := range []string{"password", "key", "nobody"} {
			for _, guess := range []string{"wrong", "", strings.Repeat("x", 5000)} {
				if g, reason := l.checkPassword(user, []byte(guess)); g != nil {
					t.Errorf("%s: %s got in with %q (%s)", cost, user, guess, reason)
				}
			}
		}
		if g, reason := l.checkPassword("password", []byte("correct horse")); g == nil {
			t.Errorf("%s: the right password is refused: %s", cost, reason)
		}
		if len(worked) != 10 || len(slices.Compact(worked)) != 1 || worked[0] != cost {
			t.Errorf("want ten times %s, have %v", cost, worked)
		}
	}
}

// TestPasswordTime: every guess takes the same time. The tolerance is wide and rounds are repeated as needed, because other
// tests run at the same time; if a hash were skipped, the guess would be a thousand times faster in every round.
func TestPasswordTime(t *testing.T) {
	l := stranger(t)
	shortest := make([]time.Duration, len(guesses))
	differs := func(i int) bool { return shortest[i] < shortest[0]/3 || shortest[i] > 3*shortest[0] }
	done := func() bool {
		for i := range guesses {
			if differs(i) {
				return false
			}
		}
		return true
	}
	for round := 0; round < 8 || round < 60 && !done(); round++ {
		for i, g := range guesses {
			begin := time.Now()
			l.checkPassword(g.user, []byte(g.password))
			if took := time.Since(begin); round == 0 || took < shortest[i] {
				shortest[i] = took
			}
		}
	}
	for i, g := range guesses {
		t.Logf("%-8s %v", g.user, shortest[i])
		if differs(i) {
			t.Errorf("%s: %v, a known user's wrong password %v", g.user, shortest[i], shortest[0])
		}
	}
}

// TestPasswordQueue: verifications that do not get a turn end with the login's deadline, and the memory in use at a time is
// bounded.
func TestPasswordQueue(t *testing.T) {
	v := newVerifier()
	if err := v.memory.acquire(t.Context(), "other", true, passwordMemoryKiB); err != nil {
		t.Fatal("the whole memory cannot be had")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := v.verify(ctx, "a", true, password.Decoy(), []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the deadline, have %v", err)
	}
	v.memory.release("other", passwordMemoryKiB)
	if ok, err := v.verify(t.Context(), "a", true, password.Decoy(), []byte("x")); ok || err != nil {
		t.Errorf("no password: %v, %v", ok, err)
	}
	if per := password.Decoy().MemoryKiB(); passwordMemoryKiB/per < 2 {
		t.Errorf("only %d verifications at a time", passwordMemoryKiB/per)
	}
}

func TestPasswordQueueReason(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s := load(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := New(func() *snapshot.Snapshot { return s }).NewLogin(ctx, netip.Addr{}, anyone, nobodyBarred, nil)
	for _, user := range []string{"ada", "nobody"} {
		if g, reason := l.checkPassword(user, []byte("secret")); g != nil || reason != event.PasswordQueueFull {
			t.Errorf("%s: %v, %s", user, g, reason)
		}
	}
}
