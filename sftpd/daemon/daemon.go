// Package daemon combines the parts: it loads the configuration, serves SFTP and the health
// port, and shuts down in order.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/gomaxprocs"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/outbox"
	"github.com/sftp-operator/sftp-operator/sftpd/reload"
	"github.com/sftp-operator/sftp-operator/sftpd/retention"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/trace"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
	"github.com/sftp-operator/sftp-operator/sftpd/volumecheck"
)

// Options of a daemon.
type Options struct {
	// ConfigDir is the configuration directory. It may be empty or missing at first.
	ConfigDir string
	// SFTP and Health are the ports to serve on. The daemon closes them.
	SFTP, Health net.Listener
	// Audit is where the audit log goes.
	Audit io.Writer
	// Log is the daemon's own log. It must not block, because the daemon would wait for it.
	Log *slog.Logger
	// LogDropped returns how many lines of Log were dropped, nil for none.
	LogDropped func() uint64
	// Version of the daemon.
	Version string
	// Pod is the name of the pod that the daemon runs in, for its proofs to the operator.
	Pod string
	// EventStep is passed to the outbox, for tests that kill the process.
	EventStep func(step string)
	// KeysEvery is passed to the outbox, for tests.
	KeysEvery time.Duration
	// Processors tunes GOMAXPROCS; nil leaves it unchanged.
	Processors *gomaxprocs.Tuner
	// RetentionDelay is how long after the start retention begins, 0 for the default: logins come first.
	RetentionDelay time.Duration
	// AdjustRetention changes the runner of retention, for tests.
	AdjustRetention func(*retention.Runner)
	// Adjust is passed to the server, for tests.
	Adjust func(*server.Server)
}

// Daemon serves one endpoint.
type Daemon struct {
	Options
	loader   *reload.Loader
	server   *server.Server
	audit    *audit.Log
	outbox   *outbox.Box
	health   *health.Server
	keyUse   *keyuse.Tracker
	traces   *trace.Exporter
	volumes  volumes
	writable *volumecheck.Checker
	retained *retention.Runner
	draining atomic.Bool
}

// New returns a daemon that is not running yet.
func New(o Options) *Daemon {
	d := &Daemon{Options: o, keyUse: keyuse.New()}
	d.outbox = outbox.New(outbox.Options{Pod: o.Pod, Log: o.Log, Step: o.EventStep, KeysEvery: o.KeysEvery})
	m := metrics.New(o.Version)
	d.traces = trace.New(o.Version, m.TraceSpans, o.Log)
	d.loader = reload.New(o.ConfigDir, o.Log, m, func(s *snapshot.Snapshot) {
		d.server.Reloaded(s)
		d.traces.Configure(s.Listener)
		d.writable.Wake()
		d.retained.Wake()
	})
	// Otherwise a quick client could upload a file without an event at startup.
	d.loader.Before = func(s *snapshot.Snapshot) { d.outbox.Configure(&s.Listener, s.EventSinks, s.Receipts) }
	d.writable = volumecheck.New(d.written, o.Log)
	m.WatchVolumes(d.writable.Status)
	m.WatchEvents(d.outbox.Status)
	m.WatchCryptoPolicy(d.cryptoPolicy)
	d.audit = audit.New(o.Audit, d.endpoint)
	m.WatchLogs(metrics.Logs{
		AuditFailures: func() uint64 { n, _ := d.audit.Failures(); return n },
		AuditBlocked:  d.audit.Blocked,
		Dropped:       o.LogDropped,
	})
	events := event.Sinks{m, d.traces, d.outbox, d.audit} // the log comes last because it may wait
	d.retained = retention.New(d.retention, events.Emit, o.Log)
	if o.AdjustRetention != nil {
		o.AdjustRetention(d.retained)
	}
	m.WatchRetention(d.retained.Status)
	d.server = server.New(server.Options{
		Current: d.loader.Current,
		Auth:    auth.New(d.loader.Current),
		Events:  events,
		Journal: d.outbox.Journal,
		Blocked: d.audit.Blocked,
		KeyUse:  d.keyUse,
		Log:     o.Log,

		Processors: o.Processors,
		Adjust:     o.Adjust,
	})
	m.Watch(d.server.LoginsInProgress, d.server.Penalized)
	d.health = health.New(d, m.Registry, d.outbox.Handler(d.eventsKey), o.Log)
	return d
}

// Received returns how many bytes clients have sent since startup.
func (d *Daemon) Received() uint64 { return d.server.Received() }

func (d *Daemon) endpoint() (namespace, name string) {
	if s := d.loader.Current(); s != nil {
		return s.Listener.Namespace, s.Listener.Name
	}
	return "", ""
}

// cryptoPolicy returns the policy of new connections, and when the configured one ends.
func (d *Daemon) cryptoPolicy() (name string, notAfter time.Time) {
	s := d.loader.Current()
	if s == nil {
		return "", time.Time{}
	}
	if end := s.Listener.CryptoPolicyNotAfter; end != nil {
		notAfter = *end
	}
	return s.CryptoAt(time.Now()).Policy.Name, notAfter
}

// written returns the volumes that at least one user may write to.
func (d *Daemon) written() []volumecheck.Volume {
	s := d.loader.Current()
	if s == nil {
		return nil
	}
	written := s.Written()
	var out []volumecheck.Volume
	for _, v := range s.Listener.Volumes {
		if dirs, ok := written[v.Path]; ok {
			out = append(out, volumecheck.Volume{Name: v.Name, Path: v.Path, SubPaths: dirs})
		}
	}
	return out
}

// ErrForced is what Run returns if it was forced to end, or ran out of time before all
// transfers were finished.
var ErrForced = errors.New("transfers were cut off")

// ErrAuditClosed is what Run returns when the reader of the audit log has closed it.
var ErrAuditClosed = errors.New("standard output is closed: the audit log no longer has a reader")

// exitTimeout is for work that continues when all connections have ended, mainly sending the last trace spans. Anything that
// takes longer, such as reading a configuration directory whose volume hangs, is abandoned.
const exitTimeout = 4 * time.Second

// retentionDelay is the default of Options.RetentionDelay.
const retentionDelay = 30 * time.Second

// refusalsFlushTimeout is how long to wait for the lines of the last refused connections. The log may be blocked.
const refusalsFlushTimeout = time.Second

// Run serves until ctx ends and then drains: the daemon reports that it is not ready, keeps accepting for the listener's
// readiness delay, and then waits for transfers up to the drain timeout. When force ends, everything ends at once. It returns a
// few seconds after the drain timeout, or after force, even if something hangs.
func (d *Daemon) Run(ctx, force context.Context) error {
	d.Log.Info("starting", "version", d.Version, "config", d.ConfigDir, "sftp", d.SFTP.Addr().String(),
		"health", d.Health.Addr().String(), "path_resolution", string(vfs.Probe()), "uid", os.Getuid(), "gid", os.Getgid())
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer waitAtMost(exitTimeout, &running)
	var writing sync.WaitGroup
	defer waitAtMost(refusalsFlushTimeout, &writing)
	defer d.health.Close()
	defer stop()
	failed := make(chan error, 2)
	writing.Go(func() { d.audit.Run(background) })
	running.Go(func() { d.loader.Run(background) })
	running.Go(func() { d.writable.Run(background) })
	running.Go(func() { d.retained.Run(ctx, cmp.Or(d.RetentionDelay, retentionDelay)) }) // a pod that is shutting down starts nothing
	running.Go(func() { d.traces.Run(background) })
	running.Go(func() { d.outbox.Run(background) })
	running.Go(func() { d.outbox.WatchKeys(ctx, d.keysEnding) }) // a pod that is shutting down starts nothing
	running.Go(func() { d.watchLogs(background) })
	running.Go(func() { failed <- wrap("health port", d.health.Serve(d.Health)) })
	running.Go(func() { failed <- wrap("SFTP port", d.server.Serve(d.SFTP)) })
	select {
	case err := <-failed:
		_ = d.server.Close() // err is reported instead
		return err
	case <-d.audit.Gone():
		// Sessions can no longer be logged, so they end. The pod's next container gets a new standard output.
		_ = d.server.Close() // the reason is reported instead
		return ErrAuditClosed
	case <-ctx.Done():
	}
	return d.drain(force)
}

func waitAtMost(limit time.Duration, running *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func wrap(what string, err error) error {
	if err == nil {
		err = errors.New("closed")
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (d *Daemon) drain(force context.Context) error {
	d.draining.Store(true)
	var delay, timeout time.Duration
	if s := d.loader.Current(); s != nil {
		delay, timeout = s.Listener.Shutdown.ReadinessDelay(), s.Listener.Shutdown.DrainTimeout()
	}
	d.Log.Info("draining", "connections", d.server.Connections(),
		"readiness_delay", delay.String(), "drain_timeout", timeout.String())
	select {
	case <-time.After(delay):
	case <-force.Done():
	}
	ctx, cancel := context.WithTimeout(force, timeout)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		d.Log.Warn("ended with transfers in progress", "error", err)
		return ErrForced
	}
	d.Log.Info("drained")
	return nil
}
