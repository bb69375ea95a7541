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
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/peruser"
	"github.com/sftp-operator/sftp-operator/sftpd/procs"
	"github.com/sftp-operator/sftp-operator/sftpd/report"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/subsystem"
	"github.com/sftp-operator/sftp-operator/sftpd/sweep"
)

// reservedDescriptors are for what is not a user's: the health port's connections, and the process's own, such as
// standard streams, listeners, the configuration that is being read, exports of traces and looks at volumes.
const reservedDescriptors = health.MaxConnections + 32

// Options are what a server is made of. All are needed but Events, Blocked, KeyUse, Processors and Adjust.
type Options struct {
	// Current returns the configuration in use, nil for none yet.
	Current func() *snapshot.Snapshot
	// Auth decides on logins.
	Auth *auth.Authenticator
	// Events gets what happens. Nil discards it.
	Events event.Sink
	// Blocked returns for how long the audit log has not taken a line, 0 for less than some seconds. Meanwhile nobody can log
	// in, and sessions wait.
	Blocked func() time.Duration
	// KeyUse keeps when keys were last used, and who has seen proofs of host keys.
	KeyUse *keyuse.Book
	// Log is the daemon's own log.
	Log *slog.Logger
	// Processors decides on how many the process runs. Nil leaves that as it is.
	Processors *procs.Governor
	// Adjust changes the server before it serves. It is for tests that cannot wait for the times of real peers.
	Adjust func(*Server)
}

// Server serves SFTP. Its life is like that of an http.Server: Serve, then Shutdown.
type Server struct {
	Options
	admission   *admission.Admission
	sessions    *sessions
	descriptors *flow.Descriptors
	totals      *flow.Totals
	users       *peruser.Users
	// handshake has the limits of logins, and the slots of all of them, in which proofs of host keys are signed as well.
	handshake handshake.Limits
	watches   *sweep.Sweep
	// open has the connections with open files.
	open report.Open
	// unusedTimeout is the constant, but in tests.
	unusedTimeout time.Duration
	// rekeyTime and rekeyBytes are the policy's unless they are set.
	rekeyTime  time.Duration
	rekeyBytes uint64
	// warned is whether it has been said that there are fewer descriptors than connections.
	warned sync.Once
	// ctx ends when all connections have to.
	ctx  context.Context
	stop context.CancelFunc

	background sync.Once
}

// New returns a server that serves nothing yet.
func New(o Options) *Server {
	s := &Server{
		Options: o, admission: admission.New(), sessions: newSessions(o.Current),
		descriptors: flow.NewDescriptors(flow.OpenFilesLimit(), reservedDescriptors), totals: flow.NewTotals(),
		users:     peruser.New(),
		handshake: handshake.StandardLimits(), unusedTimeout: subsystem.UnusedTimeout,
	}
	s.watches = sweep.New(s.idleTimeout)
	s.admission.MostConnections = flow.MostConnections(flow.OpenFilesLimit(), reservedDescriptors)
	if o.Adjust != nil {
		o.Adjust(s)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Reloaded closes the sessions that a new configuration does not permit any more. It
// returns when their connections are closed, which waits for nothing; their ends are logged a little later.
func (s *Server) Reloaded(now *snapshot.Snapshot) {
	for c, reason := range s.sessions.revoke(now, time.Now()) {
		c.revoke(reason)
	}
	s.fewDescriptors(now)
	s.watches.LookAtAll() // users' times and the idle timeout may be others
	at := time.Now()
	s.KeyUse.Keep(now.HasUser, now.CryptoAt(at).HostKeys.Has, at)
}

// fewDescriptors says, once, that the process cannot have as many connections as it is told to.
func (s *Server) fewDescriptors(current *snapshot.Snapshot) {
	most := s.admission.MostConnections
	if wanted := current.Listener.Limits.MaxConnections; wanted > most {
		s.warned.Do(func() {
			s.Log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than the configuration",
				"connections", most, "configured", wanted)
		})
	}
}

// Connections is the number of open connections, logins in progress included.
func (s *Server) Connections() int { return s.admission.Connections() }

// Sessions is the number of connections that are logged in.
func (s *Server) Sessions() int { return s.sessions.count() }

// Received is how many bytes have come in on all connections there were.
func (s *Server) Received() uint64 { return s.totals.Received() }

// LoginsInProgress returns how many connections are not logged in yet.
func (s *Server) LoginsInProgress() int { return s.admission.LoginsInProgress() }

// Penalized returns how many sources are refused for a while, for what they did before.
func (s *Server) Penalized() int { return s.admission.Penalized() }

// hostKeys are those of the configuration in use, nil for none.
func (s *Server) hostKeys() *hostkeys.Ring {
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
