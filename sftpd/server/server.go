package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
	"github.com/sftp-operator/sftp-operator/sftpd/gomaxprocs"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/peruser"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/subsystem"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// reservedDescriptors is the number of descriptors for what does not belong to users: the health port's connections, and the
// process's own, such as standard streams, listeners, configuration files being read, trace exports and volume checks.
const reservedDescriptors = health.MaxConnections + 32

// Options configure a server. Events, Blocked, KeyUse, Processors and Adjust are optional.
type Options struct {
	// Current returns the configuration in use, nil for none yet.
	Current func() *snapshot.Snapshot
	// Auth decides on logins.
	Auth *auth.Authenticator
	// Events receives what happens. Nil discards it.
	Events event.Sink
	// Journal returns what records a connection's uploads, nil if nothing does. A nil Journal records nothing.
	Journal func(*event.Connection) vfs.Journal
	// Blocked returns how long the audit log has not accepted a line, 0 for less than a few seconds. While it is blocked, logins
	// fail, and sessions wait.
	Blocked func() time.Duration
	// KeyUse tracks when keys were last used, which users have seen host-key proofs, and whose logins were refused.
	KeyUse *keyuse.Tracker
	// Log is the daemon's own log.
	Log *slog.Logger
	// Processors tunes GOMAXPROCS. Nil leaves it unchanged.
	Processors *gomaxprocs.Tuner
	// Adjust changes the server before it serves. It is for tests that cannot wait for the times of real peers.
	Adjust func(*Server)
}

// Server serves SFTP. It has the life cycle of an http.Server: Serve, then Shutdown.
type Server struct {
	Options
	admission   *admission.Admission
	sessions    *sessions
	descriptors *flow.Descriptors
	totals      *flow.Totals
	users       *peruser.Users
	// handshake contains the limits of logins, and the slots that they share with host-key proofs.
	handshake handshake.Limits
	watches   *sweep.Sweep
	// receipts finds out whether the volume of receipts answers.
	receipts receipts.Reach
	// open holds the connections with open files.
	open *report.Open
	// unusedTimeout is the constant except in tests.
	unusedTimeout time.Duration
	// rekeyTime and rekeyBytes override the policy's if set.
	rekeyTime  time.Duration
	rekeyBytes uint64
	// warned is set once the warning about too few descriptors has been logged.
	warned sync.Once
	// ctx ends when all connections have to end.
	ctx  context.Context
	stop context.CancelFunc

	background sync.Once
}

// New returns a server that serves nothing yet.
func New(o Options) *Server {
	s := &Server{
		Options: o, admission: admission.New(),
		descriptors: flow.NewDescriptors(flow.OpenFilesLimit(), reservedDescriptors), totals: flow.NewTotals(),
		users:     peruser.New(),
		handshake: handshake.StandardLimits(), unusedTimeout: subsystem.UnusedTimeout,
	}
	s.sessions = newSessions(o.Current, s.admission.Most)
	s.watches = sweep.New(s.idleTimeout)
	s.open = report.NewOpen()
	s.admission.MostConnections = flow.MostConnections(flow.OpenFilesLimit(), reservedDescriptors)
	if o.Adjust != nil {
		o.Adjust(s)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Reloaded closes the sessions that a new configuration no longer permits. It returns when their
// connections are closed, without blocking; their ends are logged a little later.
func (s *Server) Reloaded(now *snapshot.Snapshot) {
	for c, reason := range s.sessions.revoke(now, time.Now()) {
		c.revoke(reason)
	}
	s.fewDescriptors(now)
	s.watches.LookAtAll() // users' validity and the idle timeout may have changed
	at := time.Now()
	s.KeyUse.Keep(now.HasUser, now.CryptoAt(at).HostKeys.Has, at)
	s.KeyUse.KeepRefusals(now.KnowsUser)
}

// fewDescriptors warns once if the process cannot have as many connections as configured.
func (s *Server) fewDescriptors(current *snapshot.Snapshot) {
	most := s.admission.MostConnections
	if wanted := current.Listener.Limits.MaxConnections; wanted > most {
		s.warned.Do(func() {
			s.Log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than the configuration",
				"connections", most, "configured", wanted)
		})
	}
}

// Connections returns the number of open connections, including logins in progress.
func (s *Server) Connections() int { return s.admission.Connections() }

// Sessions returns the number of connections that are logged in.
func (s *Server) Sessions() int { return s.sessions.count() }

// Received returns how many bytes have come in on all connections so far.
func (s *Server) Received() uint64 { return s.totals.Received() }

// LoginsInProgress returns how many connections have not authenticated yet.
func (s *Server) LoginsInProgress() int { return s.admission.LoginsInProgress() }

// Penalized returns how many sources are currently penalized.
func (s *Server) Penalized() int { return s.admission.Penalized() }

// hostKeys returns the host keys of the configuration in use, nil for none.
func (s *Server) hostKeys() *hostkeys.Set {
	if current := s.Current(); current != nil {
		return current.CryptoAt(time.Now()).HostKeys
	}
	return nil
}

func (s *Server) emit(e event.Event) {
	if s.Events != nil {
		s.Events.Emit(e)
	}
}
