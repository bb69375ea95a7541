package flow

import (
	"io"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/unexported"
)

// A client may send what fits its window, then waits a round trip for more. With x/crypto's 2
// MiB that is at most 40 MiB/s over 50 ms, whatever the network can do. The window of an upload
// that it limits is therefore enlarged, within a budget: what is promised to a client has to be
// kept in memory if the volume is slow.
//
// A promise cannot be taken back. When an upload has not needed its window for a while, its part
// of the budget is released at once, and the client is not credited with what it sends until its
// window is as small as before. What it may send until then is bounded by the ledger: under
// pressure, such a client is closed as if its window had never been larger.
const (
	// maxWindow is the largest window, enough for 128 MiB/s over 125 ms.
	maxWindow = 16 << 20
	// windowsOfAll and windowsOfUser are how far the windows of all channels, and of one
	// user's channels, may together exceed channelWindow: four and two of the largest, and
	// less where memory is limited.
	windowsOfAll  = 64 << 20
	windowsOfUser = windowsOfAll / 2
	// windowsOfMemory is the share of the memory limit (GOMEMLIMIT) for all windows.
	windowsOfMemory = 1.0 / 8
	// leastGrowth is the smallest growth worth making.
	leastGrowth = 256 << 10
	// creditParts is how many parts a window is credited in.
	creditParts = 32
	// leastPeriod is the shortest time over which a rate is measured.
	leastPeriod = 10 * time.Millisecond
	// rttLasts is how long a measured round trip stays valid.
	rttLasts = time.Second
	// An unneeded window shrinks after windowIdle, or after windowIdleRounds round trips.
	windowIdle       = 2 * time.Second
	windowIdleRounds = 8
)

// budget is how far the windows of uploads may exceed channelWindow.
type budget struct {
	ofAll, ofUser int64

	mu    sync.Mutex
	all   int64
	users map[string]int64
}

func newBudget() *budget {
	all := int64(windowsOfAll)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		all = min(all, int64(float64(limit)*windowsOfMemory))
	}
	return &budget{ofAll: all, ofUser: all * windowsOfUser / windowsOfAll, users: map[string]int64{}}
}

// take returns as much of n as is available, 0 if that is too little to be worth it.
func (b *budget) take(user string, n int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, b.ofAll-b.all, b.ofUser-b.users[user])
	if n < leastGrowth {
		return 0
	}
	b.all += n
	b.users[user] += n
	return n
}

func (b *budget) give(user string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= n
	if b.users[user] -= n; b.users[user] == 0 {
		delete(b.users, user)
	}
}

// window is the window of a stream, guarded by its connection's lock.
type window struct {
	receiver  *unexported.Receiver
	budget    *budget
	user      string
	roundTrip func() time.Duration

	uncredited int64 // bytes read whose credit has not been sent
	// period is when measuring the rate began, and bytes what was received since.
	period time.Time
	bytes  int64
	// rtt is the round trip as last measured.
	rtt   time.Duration
	asked time.Time
	// needed is whether a smaller window would have limited the client since the last tick.
	needed bool
	idle   *time.Timer
	closed bool
}

// Grow allows the window of a user's stream to grow.
func (s *Stream) Grow(user string) { s.growWithin(s.conn.totals.windows, user) }

func (s *Stream) growWithin(b *budget, user string) {
	r := unexported.ReceiverOf(s.Channel)
	if r == nil {
		return
	}
	roundTrip := s.conn.RoundTrip
	if f := s.conn.totals.RoundTrip; f != nil {
		roundTrip = f
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.window = &window{receiver: r, budget: b, user: user, roundTrip: roundTrip, period: time.Now()}
}

// source returns what to read from, and the most to read: the channel, which credits the client;
// or its pending data, if the credit is sent later or withheld.
func (s *Stream) source() (from io.Reader, most int) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	a, w := s.account, s.window
	a.waiting = true
	switch {
	case w == nil || a.promised == 0:
		return s.Channel, math.MaxInt
	case a.promised > a.covered:
		return w.receiver.Pending, int(a.promised - a.covered)
	case w.uncredited < (channelWindow+a.promised)/creditParts:
		return w.receiver.Pending, math.MaxInt
	}
	w.uncredited = 0
	return s.Channel, math.MaxInt
}

// consumed records n bytes that were read, through the channel or past it.
func (s *Stream) consumed(n int, around bool) {
	a, w := s.account, s.window
	switch {
	case w == nil:
		return
	case around && a.promised > a.covered:
		// The promise may have lost its cover while this read waited: then the read was not bounded.
		repaid := min(int64(n), a.promised-a.covered)
		a.promised -= repaid
		if rest := int64(n) - repaid; rest > 0 {
			w.uncredited = w.receiver.Credit(rest)
		}
	case around:
		w.uncredited = w.receiver.Credit(int64(n))
	}
	s.measure(n)
}

// measure enlarges the window if it was used up within a round trip.
func (s *Stream) measure(n int) {
	a, w := s.account, s.window
	w.bytes += int64(n)
	now := time.Now()
	elapsed := now.Sub(w.period)
	if elapsed < leastPeriod {
		return
	}
	if now.Sub(w.asked) > rttLasts {
		w.rtt, w.asked = w.roundTrip(), now
	}
	if elapsed < w.rtt {
		return
	}
	perRound := int64(float64(w.bytes) * (float64(w.rtt) / float64(elapsed)))
	w.period, w.bytes = now, 0
	size := channelWindow + a.promised
	if perRound < size/4 {
		return
	}
	w.needed = true
	if perRound >= size/4*3 && a.promised == a.covered && !w.closed {
		s.grow(min(size, maxWindow-size))
	}
}

func (s *Stream) grow(n int64) {
	a, w := s.account, s.window
	if n = w.budget.take(w.user, n); n == 0 {
		return
	}
	a.promised += n
	a.covered += n
	w.uncredited = w.receiver.Credit(n)
	if w.idle == nil {
		w.idle = time.AfterFunc(windowIdle, s.tick)
	}
}

// tick shrinks a window that was not needed since the last tick, unless a request is being executed: a slow volume is not the
// client's fault.
func (s *Stream) tick() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	w, writing := s.window, s.writing.since.Load() != 0
	if w.closed || !w.needed && (s.account.waiting || writing) {
		s.uncover()
		return
	}
	w.needed = false
	w.idle.Reset(max(windowIdle, windowIdleRounds*w.rtt))
}

// uncover returns the stream's part of the budget.
func (s *Stream) uncover() {
	if a, w := s.account, s.window; w != nil && a.covered > 0 {
		w.budget.give(w.user, a.covered)
		a.covered = 0
		// x/crypto withholds credit while the client's window is about channelWindow. Nothing sends it while a promise is
		// repaid, so a client with a closed window would wait forever.
		a.promised -= w.receiver.TakeBack(a.promised)
		w.idle.Stop()
		w.idle = nil
	}
}
