package reload

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

var errTest = errors.New("test")

// TestWhenFailuresAreReported: a failure is reported at once if it is final or no configuration is in use, and otherwise once
// it has lasted; it is reported once, and again for another configuration.
func TestWhenFailuresAreReported(t *testing.T) {
	type attempt struct {
		after    time.Duration
		digest   string
		final    bool
		reported int
	}
	for name, tc := range map[string]struct {
		inUse    bool
		attempts []attempt
	}{
		"final":                   {true, []attempt{{0, "a", true, 1}, {time.Hour, "a", true, 1}}},
		"another one":             {true, []attempt{{0, "a", true, 1}, {0, "b", true, 2}, {0, "b", true, 2}}},
		"nothing in use":          {false, []attempt{{0, "a", false, 1}, {time.Hour, "a", false, 1}, {0, "b", false, 2}}},
		"files are still coming":  {true, []attempt{{0, "a", false, 0}, {30*time.Second - 1, "a", false, 0}, {1, "a", false, 1}, {time.Hour, "a", false, 1}}},
		"each takes a while":      {true, []attempt{{0, "a", false, 0}, {20 * time.Second, "b", false, 0}, {20 * time.Second, "b", false, 0}, {10 * time.Second, "b", false, 1}}},
		"without a listener.json": {true, []attempt{{0, "", false, 0}, {20 * time.Second, "", false, 0}, {10 * time.Second, "", false, 1}}},
		"it turns out final":      {true, []attempt{{0, "a", false, 0}, {time.Second, "a", true, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &safeBuffer{}
				l := New("", slog.New(slog.NewJSONHandler(log, nil)), metrics.New("test"), nil)
				inUse := `"in_use":"none"`
				if tc.inUse {
					l.current.Store(&snapshot.Snapshot{Digest: "good"})
					inUse = `"in_use":"good"`
				}
				for i, a := range tc.attempts {
					time.Sleep(a.after)
					if err := l.fail(a.digest, errTest, a.final); !errors.Is(err, errTest) {
						t.Errorf("attempt %d: %v", i, err)
					}
					if n := log.count("cannot be loaded"); n != a.reported || log.count(inUse) != n {
						t.Errorf("attempt %d: %d lines in the log, want %d", i, n, a.reported)
					}
					if l.unsettled() == a.final {
						t.Errorf("attempt %d: unsettled is %v", i, a.final)
					}
					if known := l.knownFailure(a.digest); (known != nil) != a.final || l.knownFailure("other") != nil {
						t.Errorf("attempt %d: known: %v", i, known)
					}
				}
				if l.clearFailure(); l.unsettled() || l.Status().Error != "" {
					t.Error("the failure is not cleared")
				}
			})
		})
	}
}

// TestPause: an incomplete configuration is checked again soon, and then less and less often.
func TestPause(t *testing.T) {
	retry, waits := firstRetry, []time.Duration(nil)
	for range 7 {
		var wait time.Duration
		wait, retry = pause(true, retry, pollInterval)
		waits = append(waits, wait/time.Millisecond)
	}
	if !slices.Equal(waits, []time.Duration{50, 100, 200, 400, 800, 1000, 1000}) {
		t.Errorf("%v ms", waits)
	}
	if wait, next := pause(false, retry, pollInterval); wait != 10*time.Second || next != 50*time.Millisecond {
		t.Errorf("afterwards %s, %s", wait, next)
	}
}

// TestLoadedOnce: the same configuration is loaded once; a good one that follows a bad one is loaded, and loads appear in the
// log and the metrics.
func TestLoadedOnce(t *testing.T) {
	f := newFixture(t)
	if err := f.Load(); err == nil || f.Status().FailedDigest != "" {
		t.Errorf("an empty directory: %v, %+v", err, f.Status())
	}
	f.dir.Write(t)
	for range 2 {
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.swaps) != 1 || f.log.count(`"configuration loaded","listener":"files/public","digest":"`+f.Current().Digest) != 1 {
		t.Errorf("%d swaps", len(f.swaps))
	}
	f.dir.WriteFiles(t, map[string][]byte{config.ListenerFile: []byte("{")})
	if err := f.Load(); err == nil {
		t.Fatal("loaded")
	}
	f.dir.Users[0].UID = "another"
	next := f.dir.Write(t)
	if err := f.Load(); err != nil || f.Current().Digest != next {
		t.Errorf("the next good one: %v", err)
	}
	families, err := f.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	users := 0.0
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "_users") {
			users = max(users, family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	if users != 1 {
		t.Errorf("%v users in the metrics", users)
	}
	quiet := New(f.dir.Path, f.Loader.log, f.metrics, nil)
	if err := quiet.Load(); err != nil {
		t.Error(err)
	}
}

// TestNoticesLapse: one warning is logged when the crypto policy of a configuration has expired.
func TestNoticesLapse(t *testing.T) {
	f := newFixture(t)
	end := time.Now().Add(time.Hour)
	f.dir.Listener.AllowFrom = []string{"192.0.2.0/24"}
	f.dir.Listener.CryptoPolicy, f.dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	f.dir.Write(t)
	f.noticeLapse(end) // nothing is loaded
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	for i, tc := range []struct {
		at   time.Duration
		want int
	}{{-time.Minute, 0}, {time.Minute, 1}, {time.Hour, 1}} {
		f.noticeLapse(end.Add(tc.at))
		if got := f.log.count("crypto policy has ended"); got != tc.want {
			t.Errorf("step %d: %d warnings, want %d", i, got, tc.want)
		}
	}
}

// TestRunNotices: a configuration whose policy and certificates have expired causes a warning for each key.
func TestRunNotices(t *testing.T) {
	f := newFixture(t)
	past := time.Now().Add(-time.Minute)
	f.dir.Listener.AllowFrom = []string{"192.0.2.0/24"}
	f.dir.Listener.CryptoPolicy, f.dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &past
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.dir.HostKeys = append(f.dir.HostKeys, configtest.PEM(t, private))
	f.dir.Listener.HostKeys = make([]config.HostKey, 2)
	ca, _ := configtest.Key(t)
	for i, file := range f.dir.HostKeys {
		key, err := ssh.ParsePrivateKey(file)
		if err != nil {
			t.Fatal(err)
		}
		c := configtest.Certificate(t, ca, ssh.HostCert, key.PublicKey(), "files.example.com")
		c.ValidBefore = uint64(past.Unix())
		configtest.Certify(t, ca, c)
		f.dir.Listener.HostKeys[i].Certificate = configtest.Line(c)
	}
	f.dir.Write(t)
	f.run(t)
	eventually(t, "each has its warning", func() bool {
		return f.log.count("crypto policy has ended") == 1 && f.log.count("certificate of a host key is not valid now") == 2
	})
}

// instances returns the number of the process's inotify instances.
func instances(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); strings.Contains(to, "inotify") {
			n++
		}
	}
	return n
}

// TestRunLeavesNothing: the watch ends with Run.
func TestRunLeavesNothing(t *testing.T) {
	// The descriptors of other tests are closed a moment after their Run.
	eventually(t, "no instance of inotify is left", func() bool { return instances(t) == 0 })
	f := newFixture(t)
	f.dir.Write(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	<-f.swaps
	if n := instances(t); n != 1 {
		t.Errorf("%d instances of inotify", n)
	}
	cancel()
	<-done
	eventually(t, "its instance of inotify ends", func() bool { return instances(t) == 0 })
}

// TestWithoutInotify: if no inotify instance is available, the directory is polled, and a line is logged.
func TestWithoutInotify(t *testing.T) {
	f := newFixture(t)
	if w := f.watch(); w.interval != 10*time.Second || w.fs == nil {
		t.Errorf("%+v", w)
	} else {
		w.close()
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	w := f.watch()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if w.fs != nil || w.interval != time.Second || f.log.count("cannot watch the configuration directory") != 1 {
		t.Errorf("%+v", w)
	}
	w.add(f.dir.Path)
	w.close()
}

// TestSettle: all signals within the settling time count as one with the first.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{changed: make(chan struct{}, 1)}
		go func() {
			for range 3 {
				time.Sleep(time.Millisecond)
				w.changed <- struct{}{}
			}
		}()
		started := time.Now()
		w.settle(t.Context())
		if took := time.Since(started); took != settle || len(w.changed) != 0 {
			t.Errorf("%s, %d signals are left", took, len(w.changed))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		started = time.Now()
		if w.settle(ctx); time.Since(started) != 0 {
			t.Error("the end is waited for")
		}
	})
}

// TestFollowByPolling: without a signal, a missing configuration is checked again soon and a good one after the interval; with
// a signal, at once.
func TestFollowByPolling(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		swaps := make(chan time.Duration, 9)
		started := time.Now()
		l := New(f.dir.Path, f.Loader.log, f.metrics, func(*snapshot.Snapshot) { swaps <- time.Since(started) })
		w := &watcher{changed: make(chan struct{}, 1), interval: pollInterval}
		done := make(chan struct{})
		go func() { defer close(done); l.follow(ctx, w) }()
		time.Sleep(5 * time.Second)
		f.dir.Write(t)
		first := <-swaps
		if first < 5*time.Second || first > 6*time.Second {
			t.Errorf("loaded after %s, it was there after 5 s", first)
		}
		f.dir.Users[0].UID = "another"
		f.dir.Write(t)
		if second := <-swaps; second != first+pollInterval {
			t.Errorf("seen after %s", second-first)
		}
		f.dir.Users[0].UID = "once more"
		f.dir.Write(t)
		at := time.Since(started)
		w.changed <- struct{}{}
		if third := <-swaps; third != at+settle {
			t.Errorf("with a signal: %s", third-at)
		}
		cancel()
		<-done
	})
}

// TestForward: any event or error is a signal, pending signals are merged into one, and the watch's end ends the forwarding.
func TestForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{changed: make(chan struct{}, 1), fs: &fsnotify.Watcher{Events: make(chan fsnotify.Event), Errors: make(chan error)}}
		done := make(chan struct{})
		go func() { defer close(done); w.forward() }()
		w.fs.Events <- fsnotify.Event{}
		<-w.changed
		w.fs.Errors <- errTest
		<-w.changed
		for range 3 {
			w.fs.Events <- fsnotify.Event{}
		}
		synctest.Wait()
		if len(w.changed) != 1 {
			t.Errorf("%d signals", len(w.changed))
		}
		close(w.fs.Events)
		<-done
	})
}

// TestStatusIsSettled: while sessions are being ended for a new configuration, /configz still shows the previous one.
func TestStatusIsSettled(t *testing.T) {
	dir := configtest.New(t)
	first := dir.Write(t)
	var l *Loader
	var during []string
	l = New(dir.Path, slog.New(slog.NewJSONHandler(&bytes.Buffer{}, nil)), metrics.New("test"),
		func(s *snapshot.Snapshot) { during = append(during, l.Status().Digest, l.Current().Digest, s.Digest) })
	if err := l.Load(); err != nil {
		t.Fatal(err)
	}
	dir.Listener.Authentication.MaxTries++
	second := dir.Write(t)
	if err := l.Load(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(during, []string{"", first, first, first, second, second}) || l.Status().Digest != second {
		t.Errorf("%q", during)
	}
}
