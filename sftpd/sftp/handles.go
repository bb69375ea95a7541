package sftp

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// handle is an open file or an open directory: exactly one of the two is set.
type handle struct {
	generation uint32
	file       *vfs.File
	dir        *vfs.Dir
	dirErr     error // the next READDIR ends the listing

	path          string // for a file
	start         time.Time
	read, written uint64
	err           error         // the first error
	seen          *openTransfer // nil for a directory
}

func (h *handle) inUse() bool { return h.file != nil || h.dir != nil }

// note records the handle's first error for its Transfer.
func (h *handle) note(err error) error {
	if err != nil && h.err == nil {
		h.err = err
	}
	return err
}

// handles is a session's bounded table of handles. A handle's name is its slot and a
// generation that changes with each use of the slot, so that a closed handle does not
// become another file's.
type handles struct {
	slots []*handle
	free  []uint32
	max   int
	next  uint32 // generation
}

// handleBytes is the length of a handle's name.
const handleBytes = 8

func newHandles(max int) handles {
	// A random start makes handles of another session invalid here.
	var next [4]byte
	rand.Read(next[:])
	return handles{max: max, next: binary.BigEndian.Uint32(next[:])}
}

// full reports whether add would exceed the limit.
func (t *handles) full() bool { return len(t.slots)-len(t.free) >= t.max }

// add returns a new handle's name, to be copied at once, and the handle.
func (t *handles) add() (name [handleBytes]byte, h *handle) {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot = t.free[n-1]
		t.free = t.free[:n-1]
		h = t.slots[slot]
	} else {
		slot = uint32(len(t.slots))
		h = new(handle)
		t.slots = append(t.slots, h)
	}
	t.next++
	*h = handle{generation: t.next, start: time.Now()}
	binary.BigEndian.PutUint32(name[:], h.generation)
	binary.BigEndian.PutUint32(name[4:], slot)
	return name, h
}

// get returns the handle that a client names.
func (t *handles) get(name []byte) (*handle, uint32, error) {
	if len(name) != handleBytes {
		return nil, 0, errHandle
	}
	slot := binary.BigEndian.Uint32(name[4:])
	if uint64(slot) >= uint64(len(t.slots)) {
		return nil, 0, errHandle
	}
	h := t.slots[slot]
	if !h.inUse() || h.generation != binary.BigEndian.Uint32(name) {
		return nil, 0, errHandle
	}
	return h, slot, nil
}

// stagedAt returns the file that the client is writing and that will be published as path when it is closed, nil for none: to
// this client the file already exists.
func (s *Session) stagedAt(path string) *vfs.File {
	if s.staged == 0 {
		return nil
	}
	path = vfs.Clean(path)
	for _, h := range s.handles.slots {
		if h.file != nil && h.path == path && h.file.Staged() {
			return h.file
		}
	}
	return nil
}

// remove frees the slot of a closed handle.
func (t *handles) remove(slot uint32) {
	*t.slots[slot] = handle{}
	t.free = append(t.free, slot)
}

// acquire makes sure that a handle can be added, within the limits of the session and of
// the process. If none is added after that, call release.
func (s *Session) acquire() error {
	switch {
	case s.handles.full():
		return errHandles
	case s.opts.Descriptors != nil && !s.opts.Descriptors.Acquire():
		return errDescriptors
	}
	s.acquired++
	return nil
}

func (s *Session) release() {
	s.acquired--
	if s.opts.Descriptors != nil {
		s.opts.Descriptors.Release()
	}
}

// file reads the next field of a request as the handle of an open file.
func (s *Session) file(r *request) (*handle, error) {
	name := r.bytes()
	if r.bad {
		return nil, errMalformed
	}
	h, _, err := s.handles.get(name)
	if err == nil && h.file == nil {
		return nil, errHandleKind
	}
	return h, err
}
