package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
	"github.com/sftp-operator/sftp-operator/sftpd/peruser"
	"github.com/sftp-operator/sftp-operator/sftpd/procs"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/trace"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("server closed")

// Options are what a server is made of. All are needed but Audit, Traces, KeyUse and
// Processors.
type Options struct {
	// Current returns the configuration in use, nil for none yet.
	Current func() *snapshot.Snapshot
	// Auth decides on logins.
	Auth *auth.Authenticator
	// Audit gets logins, refusals, transfers and changes of files. Nil discards them.
	Audit *audit.Log
	// Traces get logins, transfers and the ends of sessions. Nil discards them.
	Traces *trace.Exporter
	// Metrics count them.
	Metrics *metrics.Metrics
	// KeyUse keeps when keys were last used, and who has seen proofs of host keys.
	KeyUse *keyuse.Book
	// Log is the daemon's own log.
	Log *slog.Logger
	// Processors decides on how many the process runs. Nil leaves that as it is.
	Processors *procs.Governor
}

// Server serves SFTP. Its life is like that of an http.Server: Serve, then Shutdown.
type Server struct {
	Options
	registry    *registry
	penalties   *penalty.Book
	descriptors *descriptors
	users       *peruser.Users
	unread      atomic.Int64 // of all connections, see ledger
	received    atomic.Uint64
	windows     *budget // of larger windows
	// modexps are the places of expensive key exchanges, and of proofs of host keys.
	modexps   chan struct{}
	refusals  *refusals
	deadlines deadlines
	activity  activity
	// These are the constants, but in tests.
	stallTimeout, unusedTimeout, helloPatience time.Duration
	// rekeyTime is the policy's unless it is set.
	rekeyTime   time.Duration
	unreadOfAll int64
	openFirst   time.Duration
	// mostConnections is what the process's limit of descriptors allows, and warned whether that has been said.
	mostConnections int
	warned          sync.Once
	// ctx ends when all connections have to.
	ctx  context.Context
	stop context.CancelFunc

	background sync.Once

	mu       sync.Mutex
	draining bool
	closing  []net.Listener // to be closed by Shutdown
}

// adjust is for tests that cannot wait for the times of real peers.
var adjust func(*Server)

// New returns a server that serves nothing yet.
func New(o Options) *Server {
	s := &Server{
		Options: o, registry: newRegistry(o.Current), descriptors: newDescriptors(openFilesLimit()),
		mostConnections: mostConnections(openFilesLimit()),
		users:           peruser.New(), openFirst: openFirst,
		penalties: penalty.New(time.Now), refusals: newRefusals(o.Audit), modexps: newModexps(), windows: newBudget(),
		activity:     activity{conns: map[*conn]struct{}{}},
		stallTimeout: stallTimeout, unusedTimeout: unusedTimeout, helloPatience: helloPatience, unreadOfAll: unreadOfAll,
	}
	if adjust != nil {
		adjust(s)
	}
	s.Metrics.Watch(s.registry.loginsInProgress, s.penalties.Refused)
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Reloaded closes the sessions that a new configuration does not permit any more. It
// returns when their connections are closed, which waits for nothing; their ends are logged a little later.
func (s *Server) Reloaded(now *snapshot.Snapshot) {
	for c, reason := range s.registry.revoke(now, time.Now()) {
		c.revoke(string(reason))
	}
	s.fewDescriptors(now)
	s.deadlines.all() // users' times and the idle timeout may be others
	at := time.Now()
	s.KeyUse.Keep(now.HasUser, now.CryptoAt(at).HostKeys.Has, at)
}

// Connections is the number of open connections, logins in progress included.
func (s *Server) Connections() int { return s.registry.connections() }

// Sessions is the number of connections that are logged in.
func (s *Server) Sessions() int { return len(s.registry.sessions()) }

// Received is how many bytes have come in on all connections there were.
func (s *Server) Received() uint64 { return s.received.Load() }
