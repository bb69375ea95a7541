// Package daemon puts the parts together: it loads the configuration, serves SFTP and
// the health port, and ends in order.
package daemon

import (
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
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/preflight"
	"github.com/sftp-operator/sftp-operator/sftpd/procs"
	"github.com/sftp-operator/sftp-operator/sftpd/reload"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/trace"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Options of a daemon.
type Options struct {
	// ConfigDir is the configuration directory. It may be empty or missing at first.
	ConfigDir string
	// SFTP and Health are the ports to serve on. The daemon closes them.
	SFTP, Health net.Listener
	// Audit is where the audit log goes.
	Audit io.Writer
	// Log is the daemon's own log. It must not block: what the daemon does would wait for it.
	Log *slog.Logger
	// LogDropped returns how many lines of Log were dropped, nil for none.
	LogDropped func() uint64
	// Version of the daemon.
	Version string
	// Pod is the name of the pod that the daemon runs in, for its proofs to the operator.
	Pod string
	// Processors decides on how many the process runs, nil for as it is.
	Processors *procs.Governor
	// Adjust is the server's, for tests.
	Adjust func(*server.Server)
}

// Daemon serves one endpoint.
type Daemon struct {
	Options
	loader   *reload.Loader
	server   *server.Server
	audit    *audit.Log
	health   *health.Server
	keyUse   *keyuse.Book
	traces   *trace.Exporter
	volumes  volumes
	writable *preflight.Checker
	draining atomic.Bool
}

// New puts a daemon together.
func New(o Options) *Daemon {
	d := &Daemon{Options: o, keyUse: keyuse.New()}
	m := metrics.New(o.Version)
	d.traces = trace.New(o.Version, m.TraceSpans, o.Log)
	d.loader = reload.New(o.ConfigDir, o.Log, m, func(s *snapshot.Snapshot) {
		d.server.Reloaded(s)
		d.traces.Configure(s.Listener)
		d.writable.Wake()
	})
	d.writable = preflight.New(d.written, o.Log)
	m.WatchVolumes(d.writable.Status)
	m.WatchCryptoPolicy(d.cryptoPolicy)
	d.audit = audit.New(o.Audit, d.endpoint)
	m.WatchLogs(metrics.Logs{
		AuditFailures: func() uint64 { n, _ := d.audit.Failures(); return n },
		AuditBlocked:  d.audit.Blocked,
		Dropped:       o.LogDropped,
	})
	d.server = server.New(server.Options{
		Current: d.loader.Current,
		Auth:    auth.New(d.loader.Current),
		Events:  event.Sinks{m, d.traces, d.audit}, // the log may wait
		Blocked: d.audit.Blocked,
		KeyUse:  d.keyUse,
		Log:     o.Log,

		Processors: o.Processors,
		Adjust:     o.Adjust,
	})
	m.Watch(d.server.LoginsInProgress, d.server.Penalized)
	d.health = health.New(d, m.Registry, o.Log)
	return d
}

// Received is how many bytes clients have sent since the start.
func (d *Daemon) Received() uint64 { return d.server.Received() }

func (d *Daemon) endpoint() (namespace, name string) {
	if s := d.loader.Current(); s != nil {
		return s.Listener.Namespace, s.Listener.Name
	}
	return "", ""
}

// cryptoPolicy is the one of new connections, and when the configured one ends.
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

// written are the volumes that some user may write to.
func (d *Daemon) written() []preflight.Volume {
	s := d.loader.Current()
	if s == nil {
		return nil
	}
	written := s.Written()
	var out []preflight.Volume
	for _, v := range s.Listener.Volumes {
		if dirs, ok := written[v.Path]; ok {
			out = append(out, preflight.Volume{Name: v.Name, Path: v.Path, SubPaths: dirs})
		}
	}
	return out
}

// ErrForced is what Run returns if it was told to end at once, or ran out of time
// before all transfers were finished.
var ErrForced = errors.New("transfers were cut off")

// ErrAuditClosed is what Run returns when whoever read the audit log has closed it.
var ErrAuditClosed = errors.New("standard output is closed: the audit log has no reader any more")

// lastMoments is for what still runs when all connections have ended: the last spans of traces, above all. What hangs
// longer, such as a read of a configuration directory whose volume is away, is left behind.
const lastMoments = 4 * time.Second

// lastRefusals is how long the lines of the last refused connections are waited for. The log may take nothing more.
const lastRefusals = time.Second

// Run serves until ctx ends and then drains: the daemon says that it is not ready, goes
// on accepting for the listener's readiness delay, and then waits for transfers up to
// the drain timeout. The end of force ends everything at once. It returns a few seconds after
// the drain timeout, or after force, whatever hangs.
func (d *Daemon) Run(ctx, force context.Context) error {
	d.Log.Info("starting", "version", d.Version, "config", d.ConfigDir, "sftp", d.SFTP.Addr().String(),
		"health", d.Health.Addr().String(), "path_resolution", string(vfs.Probe()), "uid", os.Getuid(), "gid", os.Getgid())
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer waitAtMost(lastMoments, &running)
	var writing sync.WaitGroup
	defer waitAtMost(lastRefusals, &writing)
	defer d.health.Close()
	defer stop()
	failed := make(chan error, 2)
	writing.Go(func() { d.audit.Run(background) })
	running.Go(func() { d.loader.Run(background) })
	running.Go(func() { d.writable.Run(background) })
	running.Go(func() { d.traces.Run(background) })
	running.Go(func() { d.watchLogs(background) })
	running.Go(func() { failed <- wrap("health port", d.health.Serve(d.Health)) })
	running.Go(func() { failed <- wrap("SFTP port", d.server.Serve(d.SFTP)) })
	select {
	case err := <-failed:
		_ = d.server.Close() // err is the one to report
		return err
	case <-d.audit.Gone():
		// What sessions do cannot be logged any more, so they end. The pod's next container has another standard output.
		_ = d.server.Close() // the reason is the one to report
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
