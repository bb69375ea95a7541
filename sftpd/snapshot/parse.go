package snapshot

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// part is a shard with its users parsed. It depends on the shard's content and on the
// listener's settings, and never changes, so snapshots share it.
type part struct {
	logins   []login
	rejected []config.Rejection
	// namespace is the first user's. several is set if any other user has a different one.
	namespace string
	several   bool
}

func (p *part) add(l login) {
	if p.namespace == "" {
		p.namespace = l.Namespace
	}
	p.several = p.several || l.Namespace != p.namespace
	p.logins = append(p.logins, l)
}

// login is a user and its line.
type login struct {
	*User
	line int
}

// Knows reports whether a shard with this digest has been parsed under the same settings,
// for config.Read. A nil snapshot knows none.
func (s *Snapshot) Knows(l *config.Listener, sha256 string) bool {
	return s != nil && s.parts[sha256] != nil && sameSettings(*l, s.Listener)
}

// sameSettings reports whether two listeners differ only in their files.
func sameSettings(a, b config.Listener) bool {
	a.Shards, a.HostKeys = b.Shards, b.HostKeys
	return reflect.DeepEqual(a, b)
}

// parseShards returns the parsed shards by their digests. Known ones are reused from the
// previous snapshot: usually one user of thousands has changed.
//
// The others are parsed one shard at a time by each processor: at startup by all, and later by all but one, because sessions
// continue (see guest).
func parseShards(files *config.Files, before *Snapshot) map[string]*part {
	out := make(map[string]*part, len(files.Shards))
	var todo []config.Shard
	for _, shard := range files.Shards {
		switch _, twice := out[shard.SHA256]; {
		case twice:
		case shard.Known:
			out[shard.SHA256] = before.parts[shard.SHA256]
		default:
			out[shard.SHA256] = nil
			todo = append(todo, shard)
		}
	}
	parsed := make([]*part, len(todo))
	var next atomic.Int64
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	if before != nil {
		workers = max(1, workers-1)
	}
	for range min(workers, len(todo)) {
		wg.Go(func() {
			g := guest{alone: before == nil, since: time.Now()}
			for i := next.Add(1) - 1; i < int64(len(todo)); i = next.Add(1) - 1 {
				parsed[i] = parse(todo[i], files.Listener, &g)
			}
		})
	}
	wg.Wait()
	for i, shard := range todo {
		out[shard.SHA256] = parsed[i]
	}
	return out
}

// guest is work that must not keep sessions waiting.
type guest struct {
	// alone is set if there are no sessions yet.
	alone bool
	since time.Time
}

const (
	// stint is how long a guest works before it leaves the processor, if that is the only one, and leave is the minimum time for
	// which it leaves it.
	stint = 2 * time.Millisecond
	leave = 100 * time.Microsecond
)

// offer yields the processor to waiting goroutines. The scheduler would let this goroutine run
// for 10 ms. On a single processor, yielding is not enough: while any goroutine can run, the
// scheduler polls the network only every 10 ms, so requests would wait that long.
func (g *guest) offer() {
	if g.alone {
		return
	}
	runtime.Gosched()
	if time.Since(g.since) < stint {
		return
	}
	if runtime.GOMAXPROCS(0) == 1 {
		time.Sleep(leave)
	}
	g.since = time.Now()
}

func parse(shard config.Shard, l config.Listener, g *guest) *part {
	p := &part{}
	for n, line := range shard.Lines() {
		u, err := config.DecodeUser(line)
		var user *User
		if err == nil {
			user, err = newUser(u, l)
		}
		if err != nil {
			p.rejected = append(p.rejected, shard.Reject(n, u, err))
		} else {
			p.add(login{user, n})
		}
		g.offer()
	}
	return p
}

// addUsers indexes the users of the parts in the order of their shards. If two have the same
// login name, the first one gets it.
func (s *Snapshot) addUsers(shards []config.Shard) {
	n := 0
	for _, p := range s.parts {
		n += len(p.logins)
	}
	s.users, s.uids, s.eventSinks = make(map[string]*User, n), make(map[string]struct{}, n), map[string][]string{}
	for _, shard := range shards {
		p := s.parts[shard.SHA256]
		s.Rejected = append(s.Rejected, p.rejected...)
		for i, u := range p.logins {
			if _, twice := s.users[u.Username]; twice {
				record := config.User{UID: u.UID, Username: u.Username}
				s.Rejected = append(s.Rejected, shard.Reject(u.line, record, config.ErrTwice))
				continue
			}
			s.users[u.Username] = u.User
			s.uids[u.UID] = struct{}{}
			if len(u.EventSinks) > 0 {
				s.eventSinks[u.Account] = u.EventSinks
			}
			if i%100 == 0 {
				runtime.Gosched()
			}
		}
	}
}
