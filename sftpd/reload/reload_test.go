package reload

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

type fixture struct {
	*Loader
	dir   *configtest.Dir
	log   *safeBuffer
	swaps chan string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), text)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: configtest.New(t), log: &safeBuffer{}, swaps: make(chan string, 100)}
	f.dir.AddUser("ada", "").Password = &config.Password{Hash: "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"}
	f.Loader = New(f.dir.Path, slog.New(slog.NewJSONHandler(f.log, nil)), metrics.New("test"),
		func(s *snapshot.Snapshot) { f.swaps <- s.Digest })
	return f
}

// TestBefore: what has to know a configuration before a client can log in with it is told in time.
func TestBefore(t *testing.T) {
	f := newFixture(t)
	var told []string
	f.Before = func(s *snapshot.Snapshot) {
		if c := f.Current(); c != nil && c.Digest == s.Digest || len(f.swaps) != len(told) {
			t.Error("clients have it already")
		}
		told = append(told, s.Digest)
	}
	for _, user := range []string{"bob", "eve"} {
		f.dir.AddUser(user, "secret")
		f.dir.Write(t)
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
		if f.Current().Digest != told[len(told)-1] {
			t.Error("it is another one")
		}
	}
	if len(told) != 2 {
		t.Errorf("told %d times", len(told))
	}
}

func (f *fixture) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (f *fixture) wantSwap(t *testing.T, digest string, within time.Duration) {
	t.Helper()
	select {
	case got := <-f.swaps:
		if got != digest {
			t.Fatalf("swapped to %s, want %s", got, digest)
		}
	case <-time.After(within):
		t.Fatalf("no swap within %s", within)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: ", what)
		}
	}
}

// after returns the status once the configuration has been settled, which happens soon after its swap; if there is no swap, the
// current status.
func (f *fixture) after(digest string) (st config.Status) {
	for end := time.Now().Add(reaction); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st = f.Status(); st.Digest == digest && st.Error == "" {
			break
		}
	}
	return st
}

func (f *fixture) counter(t *testing.T, name string) float64 {
	t.Helper()
	families, err := f.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// reaction is how long a reload may take in tests. It takes 15 ms on an idle machine; without a signal it would take
// pollInterval.
const reaction = pollInterval / 2

func TestFollowsSwaps(t *testing.T) {
	for _, plain := range []bool{false, true} {
		f := newFixture(t)
		f.dir.Plain = plain
		first := f.dir.Write(t)
		f.run(t)
		f.wantSwap(t, first, reaction)
		for range 5 {
			f.dir.Listener.Authentication.MaxTries++
			f.wantSwap(t, f.dir.Write(t), reaction)
		}
		f.dir.Users[0].UID = "another" // only a shard
		last := f.dir.Write(t)
		f.wantSwap(t, last, reaction)
		if st := f.after(last); st.Error != "" || st.Users != 1 || st.LoadedAt.IsZero() {
			t.Errorf("%+v", st)
		}
	}
}

// TestStartsEmpty: the daemon may start before its configuration exists, and before the directory does.
func TestStartsEmpty(t *testing.T) {
	f := newFixture(t)
	f.dir.Path = filepath.Join(f.dir.Path, "later")
	f.Loader.dir = f.dir.Path
	f.run(t)
	eventually(t, "that there is nothing is reported", func() bool { return f.Status().Error != "" })
	if f.Current() != nil {
		t.Errorf("%+v", f.Status())
	}
	if err := os.Mkdir(f.dir.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	f.wantSwap(t, f.dir.Write(t), reaction)
	// Replaced by another directory with the same name.
	if err := os.Rename(f.dir.Path, f.dir.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.dir.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	f.dir.Listener.Authentication.MaxTries++
	f.wantSwap(t, f.dir.Write(t), reaction)
}

func TestKeepsLastGood(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, d *configtest.Dir, files map[string][]byte){
		"no JSON": func(_ *testing.T, _ *configtest.Dir, f map[string][]byte) { f[config.ListenerFile] = []byte("{") },
		"newer version": func(_ *testing.T, _ *configtest.Dir, f map[string][]byte) {
			f[config.ListenerFile] = []byte(`{"version":2}`)
		},
		"unknown field": func(_ *testing.T, _ *configtest.Dir, f map[string][]byte) {
			f[config.ListenerFile] = bytes.Replace(f[config.ListenerFile], []byte("{"), []byte(`{"new":1,`), 1)
		},
		"unknown policy": encode(func(_ *testing.T, d *configtest.Dir) { d.Listener.CryptoPolicy = "Modern1999" }),
		"bad host key":   encode(func(_ *testing.T, d *configtest.Dir) { d.HostKeys[0] = []byte("nonsense") }),
		"two host keys of a type": encode(func(t *testing.T, d *configtest.Dir) {
			_, second := configtest.Key(t)
			d.HostKeys = append(d.HostKeys, second)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			good := f.dir.Write(t)
			if err := f.Load(); err != nil {
				t.Fatal(err)
			}
			files := f.dir.Files(t)
			goodFiles := maps.Clone(files)
			spoil(t, f.dir, files)
			f.dir.WriteFiles(t, files)
			bad := config.Digest(files[config.ListenerFile])
			for range 3 {
				if err := f.Load(); err == nil {
					t.Fatal("loaded")
				}
			}
			if st := f.Status(); st.Digest != good || st.FailedDigest != bad || st.Error == "" {
				t.Errorf("%+v", st)
			}
			if n := f.log.count("cannot be loaded"); n != 1 {
				t.Errorf("%d lines in the log", n)
			}
			if n := f.counter(t, "sftpd_config_reload_errors_total"); n != 1 {
				t.Errorf("%v errors counted", n)
			}
			// The same good files again: nothing is loaded, and the error is cleared.
			f.dir.WriteFiles(t, goodFiles)
			if err := f.Load(); err != nil {
				t.Error(err)
			}
			if st := f.Status(); st.Digest != good || st.FailedDigest != "" || st.Error != "" {
				t.Errorf("after the good files came back: %+v", st)
			}
		})
	}
}

// encode corrupts a copy of the directory before encoding it.
func encode(change func(*testing.T, *configtest.Dir)) func(*testing.T, *configtest.Dir, map[string][]byte) {
	return func(t *testing.T, d *configtest.Dir, files map[string][]byte) {
		t.Helper()
		bad := *d
		bad.HostKeys = append([][]byte(nil), d.HostKeys...)
		change(t, &bad)
		maps.Copy(files, bad.Files(t))
	}
}

// TestWaitsForConsistency: while some files are older than others, nothing is swapped or reported; the configuration is loaded
// soon after the last file arrives.
func TestWaitsForConsistency(t *testing.T) {
	f := newFixture(t)
	f.dir.Plain = true
	first := f.dir.Write(t)
	f.run(t)
	f.wantSwap(t, first, reaction)
	f.dir.Users[0].UID = "another"
	files := f.dir.Files(t)
	shard := files[config.ShardFile(0)]
	delete(files, config.ShardFile(0))
	f.dir.WriteFiles(t, files)
	eventually(t, "that a file is missing is reported", func() bool { st := f.Status(); return st.Digest == first && st.Error != "" })
	if err := f.Load(); !errors.Is(err, config.ErrInconsistent) {
		t.Errorf("want ErrInconsistent, have %v", err)
	}
	if n := f.log.count("cannot be loaded"); n != 0 {
		t.Errorf("%d lines in the log", n)
	}
	f.dir.WriteFiles(t, map[string][]byte{config.ShardFile(0): shard})
	f.wantSwap(t, config.Digest(files[config.ListenerFile]), reaction)
	if st := f.after(config.Digest(files[config.ListenerFile])); st.Error != "" || st.FailedDigest != "" {
		t.Errorf("%+v", st)
	}
}

// TestRejectsUsers: an error in one user's record does not affect the other users.
func TestRejectsUsers(t *testing.T) {
	f := newFixture(t)
	key, _ := configtest.Key(t)
	f.dir.AddUser("weak", "", key.PublicKey()).Keys[0].PublicKey = "ssh-dss AAAA"
	f.dir.AddUser("hash", "secret").Password.Hash = "$2b$10$nothing"
	f.dir.AddUser("good", "", key.PublicKey())
	f.dir.Write(t)
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	st := f.Status()
	if st.Users != 2 || strings.Join(st.RejectedUIDs, " ") != "uid-weak uid-hash" {
		t.Errorf("%+v", st)
	}
	if n := f.log.count("record cannot be used"); n != 2 {
		t.Errorf("%d lines in the log", n)
	}
}

// TestNoticesCertificates: one warning is logged each time a certificate becomes invalid.
func TestNoticesCertificates(t *testing.T) {
	f := newFixture(t)
	ca, _ := configtest.Key(t)
	host, err := ssh.ParsePrivateKey(f.dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	certificate := configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "files.example.com")
	f.dir.Listener.HostKeys = []config.HostKey{{Certificate: configtest.Line(certificate)}}
	f.dir.Write(t)
	f.noticeCertificates(time.Now()) // nothing is loaded
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, tc := range []struct {
		at   time.Duration
		want int
	}{{0, 0}, {2 * time.Hour, 1}, {3 * time.Hour, 1}, {0, 1}, {-2 * time.Hour, 2}} {
		f.noticeCertificates(now.Add(tc.at))
		if got := f.log.count("certificate of a host key is not valid now"); got != tc.want {
			t.Errorf("step %d: %d warnings, want %d", i, got, tc.want)
		}
	}
	if f.log.count(ssh.FingerprintSHA256(host.PublicKey())) != 2 {
		t.Error("the warnings do not name the key")
	}
}
