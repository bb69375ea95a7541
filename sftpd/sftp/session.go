package sftp

import (
	"context"
	"errors"
	"io"
	"log/slog"
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
	out      replies // what was answered and not yet sent
	outBuf   *[bufferBytes]byte
	mark     int   // where in out the reply at hand starts
	since    int64 // when the first reply in out was made, in Unix nanoseconds
	handles  handles
	staged   int            // open files that do not have their names yet
	acquired int            // descriptors that release has not given back
	denied   map[*kind]bool // kinds of request that Options.Permit refuses
	req      request        // the one at hand, kept to save allocations
	entry    vfs.Entry      // of the listing at hand, likewise
	ahead    ahead          // what of the WRITEs that come next is done
	greeted  bool           // INIT has come
	// askedLimits: limits@openssh.com has come, so the client knows that packets
	// may be longer than the 34000 bytes that all must take.
	askedLimits bool
	lastUsed    atomic.Int64 // Unix nanoseconds
	lastWork    int64        // likewise, when touch was last called
	// alone is how long the server has worked on requests since the client was last waited for, see aloneLimit.
	alone    time.Duration
	files    atomic.Int32
	longOpen openTransfers
}

// NewSession prepares a session over rw. If rw is an [io.Closer], cancelling
// the context of Serve closes it.
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

// OpenFiles returns how many files the client has open, which is how a client
// in the middle of a transfer differs from one that waits. It may be called at
// any time, from any goroutine.
func (s *Session) OpenFiles() int { return int(s.files.Load()) }

// LastActivity returns when a request last came or was answered; before the
// first one, when the session was made. A long copy-data or check-file counts for an hour.
// It may be called at any time, from any goroutine.
func (s *Session) LastActivity() time.Time { return time.Unix(0, s.lastUsed.Load()) }

func (s *Session) touch() int64 {
	now := time.Now().UnixNano()
	s.lastWork = now
	if s.alone < aloneLimit {
		s.lastUsed.Store(now)
	}
	return now
}

// Serve answers requests until the client closes the stream, which gives nil.
// Other ends give an error: that of the stream, [ErrFraming],
// io.ErrUnexpectedEOF for a stream that ends inside of a packet, or the
// context's. All open handles are closed when it returns. It is called once.
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
		if !s.in.ready() {
			// Nothing more to answer for now: send, and hold nothing while waiting.
			if err := s.flush(); err != nil {
				return err
			}
			s.releaseOut()
		}
		asked := time.Now().UnixNano()
		p, err := s.in.next()
		if err != nil {
			_ = s.flush() // what came before a framing error has its answers
			return err
		}
		if time.Now().UnixNano()-asked >= int64(waited) {
			s.alone = 0
		}
		now := s.touch()
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

// When replies are sent though more requests are at hand.
const (
	// flushBytes of them are eight READs of 32 KiB, which is what clients have
	// asked for since there are SFTP clients.
	flushBytes = 256 << 10
	// maxHold is how old the first of them may be: where each request takes long,
	// because the volume is slow, a reply waits for one of them and not for eight.
	maxHold = int64(time.Millisecond)
)

// flush sends the finished replies. A request that may take long calls it
// before it appends its own.
func (s *Session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.rw.Write(s.out)
	s.out, s.mark = s.out[:0], 0
	s.since = s.touch()
	return err
}

// room makes sure that a reply of n bytes fits behind those that wait, if need be
// by sending these. It must come before any of the reply.
func (s *Session) room(n int) error {
	if len(s.out)+n <= cap(s.out) {
		return nil
	}
	return s.flush()
}

// outStart is where in its buffer the first reply starts, so that the data of a
// READ starts at 64 bytes. Processors copy long blocks several times slower
// to an address 1 to 15 bytes past that of the source, within a page (AMD's
// Zen has a third of the speed), and files are read from their pages' starts.
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

// execute runs a request. Nothing appended and no error means SSH_FX_OK.
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
			_ = s.close(h, uint32(slot), true) // the observer hears of it
		}
	}
	for s.acquired > 0 { // a request panicked before it had its handle
		s.release()
	}
	s.in.release()
	s.releaseOut()
}

// report tells the observer and the log of a request.
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
