// Package reload keeps the configuration in use up to date with a directory.
//
// It watches the directory with inotify, where the kubelet replaces the symlink ..data and people edit files, and also polls it
// every few seconds for what inotify does not report: changes on network file systems, and a directory that is a link or was
// recreated. A configuration that cannot be loaded changes nothing: the last good one stays in use.
package reload

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Loader loads a configuration directory, and reloads it when it changes.
type Loader struct {
	// Before, if set, is called with a new configuration before Current returns it. It must not wait.
	Before func(*snapshot.Snapshot)

	dir     string
	log     *slog.Logger
	metrics *metrics.Metrics
	onSwap  func(*snapshot.Snapshot)

	current atomic.Pointer[snapshot.Snapshot]
	// settled is current once onSwap has returned: what Status shows.
	settled atomic.Pointer[snapshot.Snapshot]
	once    sync.Mutex // one load at a time
	// lapsed is the digest of the configuration whose crypto policy was reported to have
	// ended. Only Run uses it.
	lapsed string
	// uncertified are the fingerprints of the host keys whose certificates were reported not
	// to be valid. Only Run uses it.
	uncertified map[string]bool

	mu      sync.Mutex
	failure failure
}

// failure describes a newer configuration that could not be loaded.
type failure struct {
	digest string // of its listener.json, "" if that cannot be read
	err    error
	// final: the same digest would fail again.
	final bool
	// reported: it has been logged and counted.
	reported bool
	since    time.Time
}

// mismatchTimeout is how long files may be inconsistent before it is reported: the kubelet
// refreshes each volume at once, but an operator writes one Secret after another.
const mismatchTimeout = 30 * time.Second

// New returns a Loader for a directory. After each swap, onSwap is called with the new configuration
// before it is reported as loaded and before anything is logged. Nothing is loaded yet.
func New(dir string, log *slog.Logger, m *metrics.Metrics, onSwap func(*snapshot.Snapshot)) *Loader {
	return &Loader{dir: dir, log: log, metrics: m, onSwap: onSwap}
}

// Current returns the configuration in use, nil before the first.
func (l *Loader) Current() *snapshot.Snapshot { return l.current.Load() }

// Status fills in what /configz shows of the configuration. The operator relies on it when revoking access: a configuration
// is shown only after the sessions that it ends have been ended.
func (l *Loader) Status() config.Status {
	var st config.Status
	if s := l.settled.Load(); s != nil {
		st.Digest, st.LoadedAt, st.Users, st.RejectedUIDs = s.Digest, s.LoadedAt, s.Users(), s.RejectedUIDs()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure.err != nil {
		st.FailedDigest, st.Error = l.failure.digest, l.failure.err.Error()
	}
	return st
}

// Load loads the directory unless its content is already in use or known to be unusable.
// The error says why the configuration in use is not the directory's.
func (l *Loader) Load() error {
	l.once.Lock()
	defer l.once.Unlock()

	// The digest of listener.json is that of the whole set. So one small read reports
	// whether there is anything to do.
	digest := ""
	if raw, err := os.ReadFile(filepath.Join(l.dir, config.ListenerFile)); err == nil {
		digest = config.Digest(raw)
		if s := l.Current(); s != nil && s.Digest == digest {
			l.clearFailure()
			return nil
		}
		if known := l.knownFailure(digest); known != nil {
			return known
		}
	}
	before := l.Current()
	files, err := config.Read(l.dir, before.Knows)
	if err != nil {
		return l.fail(digest, err, isFinal(err))
	}
	s, err := snapshot.Build(files, before, time.Now())
	if err != nil {
		return l.fail(files.Digest, err, true)
	}
	l.swap(s)
	return nil
}

// isFinal reports whether an error is in the files' content, as opposed to files being
// written or a failing file system.
func isFinal(err error) bool {
	var path *os.PathError
	return !errors.Is(err, config.ErrInconsistent) && !errors.As(err, &path)
}

// swap first ends the sessions that lost access. Everything that may take time comes after that.
func (l *Loader) swap(s *snapshot.Snapshot) {
	if l.Before != nil {
		l.Before(s)
	}
	l.current.Store(s)
	if l.onSwap != nil {
		l.onSwap(s)
	}
	l.settled.Store(s)
	l.clearFailure()
	l.metrics.ConfigLoaded(s.LoadedAt, s.Users(), len(s.Rejected))
	l.log.Info("configuration loaded", "listener", s.Listener.Namespace+"/"+s.Listener.Name,
		"digest", s.Digest, "users", s.Users(), "rejected", len(s.Rejected))
	for _, r := range s.Rejected {
		l.log.Warn("user cannot log in: record cannot be used", "user", r.Username, "uid", r.UID, "error", r.Reason)
	}
}

// noticeLapse warns once when the crypto policy of the configuration has ended. New
// connections check that themselves.
func (l *Loader) noticeLapse(now time.Time) {
	s := l.Current()
	if s == nil || !s.PolicyLapsed(now) || l.lapsed == s.Digest {
		return
	}
	l.lapsed = s.Digest
	l.log.Warn("crypto policy has ended: new connections get the default one", "digest", s.Digest,
		"policy", s.Listener.CryptoPolicy, "not_after", s.Listener.CryptoPolicyNotAfter, "in_effect", s.CryptoAt(now).Policy.Name)
}

// noticeCertificates warns once when the certificate of a host key is not valid, and again if
// it was valid in between. New connections check that themselves.
func (l *Loader) noticeCertificates(now time.Time) {
	s := l.Current()
	if s == nil {
		return
	}
	before := l.uncertified
	l.uncertified = map[string]bool{}
	for _, k := range s.CryptoAt(now).HostKeys.Uncertified(now) {
		l.uncertified[k.Fingerprint] = true
		if !before[k.Fingerprint] {
			l.log.Warn("certificate of a host key is not valid now: new connections only get the plain key",
				"digest", s.Digest, "host_key", k.Fingerprint)
		}
	}
}

func (l *Loader) clearFailure() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = failure{}
}

func (l *Loader) knownFailure(digest string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure.final && l.failure.digest == digest {
		return l.failure.err
	}
	return nil
}

// fail keeps a failure for Status, and reports it once: at once if it is final or nothing
// is in use yet, otherwise once it has lasted.
func (l *Loader) fail(digest string, err error, final bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.failure.err == nil || l.failure.digest != digest {
		l.failure = failure{digest: digest, since: now}
	}
	f := &l.failure
	f.err, f.final = err, final
	if f.reported || !final && l.Current() != nil && now.Sub(f.since) < mismatchTimeout {
		return err
	}
	f.reported = true
	l.metrics.ConfigFailed()
	l.log.Error("configuration cannot be loaded", "digest", digest, "in_use", l.inUse(), "error", err)
	return err
}

func (l *Loader) inUse() string {
	if s := l.Current(); s != nil {
		return s.Digest
	}
	return "none"
}
