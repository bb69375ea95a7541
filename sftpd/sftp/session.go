package sftp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// Session is one client's use of one tree.
type Session struct {
	tree     *vfs.Tree
	opts     Options
	log      *slog.Logger // nil unless debug lines are wanted
	rw       io.ReadWriter
	ctx      context.Context
	in       input
	out      replies // replies not yet sent
	outBuf   *[bufferBytes]byte
	mark     int   // where the current reply starts in out
	since    int64 // when the first reply in out was made, in Unix nanoseconds
	handles  handles
	staged   int            // open files that are not published yet
	acquired int            // descriptors that release has not given back
	denied   map[*kind]bool // kinds of request that Options.Permit refuses
	req      request        // the current one, kept to save allocations
	entry    vfs.Entry      // of the current listing, likewise
	ahead    ahead          // how much of the next WRITEs is done
	greeted  bool           // INIT has been received
	// askedLimits: limits@openssh.com has been received, so the client knows that packets
	// may be longer than the 34000 bytes that every client must accept.
	askedLimits bool
	lastUsed    atomic.Int64 // Unix nanoseconds
	lastWork    int64        // likewise, when touch was last called
	// alone is how long the server has been working on requests since it last waited for the client; see aloneLimit.
	alone    time.Duration
	files    atomic.Int32
	longOpen openTransfers
}

// NewSession prepares a session over rw. If rw is an [io.Closer], canceling the context of
// Serve closes it.
func NewSession(rw io.ReadWriter, tree *vfs.Tree, opts Options) *Session {
	if opts.MaxHandles <= 0 {
		opts.MaxHandles = DefaultMaxHandles
	}
	s := &Session{tree: tree, opts: opts, rw: rw, in: input{r: rw}, handles: newHandles(opts.MaxHandles)}
	if opts.Permit != nil {
		s.denied = map[*kind]bool{}
		for i := range kinds {
			if !opts.Permit(kinds[i].name) {
				s.denied[&kinds[i]] = true
			}
		}
	}
	s.touch()
	return s
}

// Serve runs a session to its end; see [Session.Serve].
func Serve(ctx context.Context, rw io.ReadWriter, tree *vfs.Tree, opts Options) error {
	return NewSession(rw, tree, opts).Serve(ctx)
}

// OpenFiles returns how many files the client has open, which distinguishes a client in the
// middle of a transfer from an idle one. It may be called at any time, from any goroutine.
func (s *Session) OpenFiles() int { return int(s.files.Load()) }

// LastActivity returns when a request was last received or answered; before the first one,
// when the session was created. A long copy-data or check-file counts for an hour. It may
// be called at any time, from any goroutine.
func (s *Session) LastActivity() time.Time { return time.Unix(0, s.lastUsed.Load()) }

func (s *Session) touch() int64 {
	now := time.Now().UnixNano()
	s.touchAt(now)
	return now
}

func (s *Session) touchAt(now int64) {
	s.lastWork = now
	if s.alone < aloneLimit {
		s.lastUsed.Store(now)
	}
}

// Serve answers requests until the client closes the stream, which gives nil. Otherwise it
// returns the stream's error, [ErrFraming], io.ErrUnexpectedEOF for a stream that ends
// within a packet, or the context's error. All open handles are closed when it returns. It
// must be called only once.
func (s *Session) Serve(ctx context.Context) error {
	s.ctx = ctx
	if c, ok := s.rw.(io.Closer); ok {
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
	}
	if l := s.opts.Logger; l != nil && l.Enabled(ctx, slog.LevelDebug) {
		s.log = l
	}
	defer s.end()
	err := s.loop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *Session) loop() error {
	for s.ctx.Err() == nil {
		asked := int64(math.MaxInt64) // when it began to wait for the client; unset for a request that has already arrived
		if !s.in.ready() {
			// Nothing more to answer now: send, and hold no buffers while waiting.
			if err := s.flush(); err != nil {
				return err
			}
			s.releaseOut()
			asked = time.Now().UnixNano()
		}
		p, err := s.in.next()
		if err != nil {
			_ = s.flush() // requests before a framing error get their replies
			return err
		}
		now := time.Now().UnixNano()
		if now-asked >= int64(waited) {
			s.alone = 0
		}
		s.touchAt(now)
		switch {
		case len(s.out) == 0:
			s.since = now
		case now-s.since > maxHold:
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.takeOut()
		s.answer(p)
		if len(s.out) >= flushBytes {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return s.ctx.Err()
}

// When replies are sent although more requests are waiting.
const (
	// flushBytes is eight READs of 32 KiB, the size that SFTP clients have always
	// requested.
	flushBytes = 256 << 10
	// maxHold is how old the first of them may be: where each request takes long, because
	// the volume is slow, a reply waits for one of them instead of eight.
	maxHold = int64(time.Millisecond)
)

// flush sends the finished replies. A request that may take a while calls it before it
// appends its own.
func (s *Session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.rw.Write(s.out)
	s.out, s.mark = s.out[:0], 0
	s.since = s.touch()
	return err
}

// room makes sure that a reply of n bytes fits after the pending ones, sending those if
// needed. It must be called before any part of the reply is appended.
func (s *Session) room(n int) error {
	if len(s.out)+n <= cap(s.out) {
		return nil
	}
	return s.flush()
}

// outStart is where in its buffer the first reply starts, so that the data of a READ starts
// at 64 bytes. Processors copy long blocks several times slower to an address that is,
// within a page, 1 to 15 bytes past the source's (on AMD's Zen at a third of the speed),
// and files are read from page starts.
const outStart = 64 - dataHeader

func (s *Session) takeOut() {
	if s.outBuf == nil {
		s.outBuf = buffers.Get().(*[bufferBytes]byte)
		s.out = s.outBuf[outStart:outStart]
	}
}

func (s *Session) releaseOut() {
	if s.outBuf != nil {
		buffers.Put(s.outBuf)
		s.outBuf, s.out = nil, nil
	}
}

// answer executes one packet and appends its reply.
func (s *Session) answer(p []byte) {
	r := &s.req
	*r = request{typ: p[0], fields: fields{rest: p[1:]}}
	r.id = r.uint32()
	s.mark = len(s.out)
	err := s.execute(r)
	if err != nil {
		s.out = s.out[:s.mark]
	}
	if len(s.out) == s.mark {
		s.status(r.id, err)
	}
	s.report(r, err)
}

// execute runs a request. If nothing was appended and there is no error, the reply is SSH_FX_OK.
func (s *Session) execute(r *request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if l := s.opts.Logger; l != nil {
				l.Error("sftp: request panicked", "type", r.typ, "panic", v, "stack", string(debug.Stack()))
			}
			err = errInternal
		}
	}()
	switch {
	case r.bad:
		return errMalformed
	case r.typ == typeInit && !s.greeted:
		s.greeted = true
		s.version(r)
		return nil
	case r.typ == typeInit || !s.greeted:
		return errNotFirst
	}
	r.kind = lookup(r)
	switch {
	case r.bad:
		return errMalformed
	case r.kind == nil:
		return errUnsupported
	case s.denied[r.kind]:
		return errNotAllowed
	}
	if err := s.pace(r.kind); err != nil {
		return err
	}
	return r.kind.run(s, r)
}

func (s *Session) status(id uint32, err error) {
	code, text := statusOf(err)
	at := s.out.begin(typeStatus, id)
	s.out.uint32(uint32(code))
	s.out.string(text)
	s.out.string("") // language tag
	s.out.end(at)
}

// end closes what the client left open.
func (s *Session) end() {
	for slot, h := range s.handles.slots {
		if h.inUse() {
			_ = s.close(h, uint32(slot), true) // the observer gets the error
		}
	}
	for s.acquired > 0 { // a request panicked before it had its handle
		s.release()
	}
	s.in.release()
	s.releaseOut()
}

// report passes a request to the observer and the log.
func (s *Session) report(r *request, err error) {
	if s.log == nil && (r.kind == nil || r.kind.audit == never) {
		return
	}
	code, _ := statusOf(err)
	if s.log != nil {
		s.log.Debug("sftp: request", "type", r.typ, "id", r.id, "request", r.kind.String(),
			"path", r.path, "target", r.target, "status", code.String(), "error", err)
	}
	if s.opts.Observe == nil || r.kind == nil {
		return
	}
	switch r.kind.audit {
	case never:
		return
	case always:
	case ifDenied:
		if code != StatusPermissionDenied && !(r.changes && err != nil) {
			return
		}
	}
	if errors.Is(err, errMalformed) {
		return
	}
	op := Operation{Op: r.kind.name, Target: r.target, Status: code, BytesRead: r.hashed, Changes: r.set}
	if r.path != "" {
		op.Path = vfs.Clean(r.path)
	}
	if r.target != "" && r.typ != typeSymlink {
		op.Target = vfs.Clean(r.target)
	}
	s.opts.Observe(op)
}
