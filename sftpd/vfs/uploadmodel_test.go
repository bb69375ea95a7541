package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// uploadModel implements what the package documentation says about uploads, for one directory that several connections write
// to, without descriptors, locks or races.
type uploadModel struct {
	Uploads

	dir     string // its name in the root; "" if it does not exist
	files   map[string]*content
	staged  map[string]*content
	handles []*using
}

// content is a file, under whichever name.
type content struct {
	data string
	mode uint32
}

// using is a handle opened for writing.
type using struct {
	f                  *File
	by                 int // the connection
	name               string
	flags              int
	c                  *content
	staged, made       bool // under a hidden name; under its own name, to be deleted if it is not completed
	marked             bool // other handles can see it
	created, truncated bool
}

func (h *using) reads() bool     { return h.flags&unix.O_ACCMODE == unix.O_RDONLY }
func (h *using) truncates() bool { return h.flags&unix.O_TRUNC != 0 }
func (h *using) exclusive() bool {
	return h.flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL
}

// written reports whether another visible handle writes c.
func (m *uploadModel) written(c *content) bool {
	for _, h := range m.handles {
		if h.c == c && h.marked {
			return true
		}
	}
	return false
}

// stages reports whether a connection has opened c as a staged file.
func (m *uploadModel) stages(by int, c *content) bool {
	for _, h := range m.handles {
		if h.c == c && h.staged && h.by == by {
			return true
		}
	}
	return false
}

func (m *uploadModel) forget(name string) bool {
	c := m.staged[name]
	if !m.OnClose || c == nil || m.written(c) {
		return false
	}
	delete(m.staged, name)
	return true
}

// open opens a name, or a link to it in another directory.
func (m *uploadModel) open(by int, name string, link bool, flags int, mode uint32) (*using, error) {
	h := &using{by: by, name: name, flags: flags}
	old, left := m.files[name], m.staged[name]
	switch {
	case h.exclusive() && (link || old != nil && m.dir != ""):
		return nil, unix.EEXIST
	case m.dir == "" || link && m.dir != "d":
		return nil, unix.ENOENT
	case !m.OnClose || old != nil && h.reads() && !h.truncates():
		return m.openInPlace(h, link, mode)
	case left != nil && m.written(left):
		if h.exclusive() || h.truncates() && !m.stages(by, left) {
			return nil, ErrUploading
		}
		h.c, h.truncated = left, h.truncates()
		if h.truncates() {
			left.data = ""
		}
		return m.share(h), nil
	case left != nil && !h.truncates() && !h.exclusive() && !m.DeleteIncomplete:
		if h.c = left; old != nil {
			return nil, ErrInterrupted
		}
		return m.share(h), nil
	}
	delete(m.staged, name) // what is left must not be the start of another upload
	switch {
	case old != nil && h.truncates() && m.written(old):
		return nil, ErrUploading
	case old != nil && h.truncates():
		h.c, h.truncated = &content{mode: old.mode}, true
	case old != nil:
		h.marked = true
		return m.openInPlace(h, link, mode)
	case flags&unix.O_CREAT == 0:
		return nil, unix.ENOENT
	default:
		h.c, h.created = &content{mode: mode}, true
	}
	m.staged[name] = h.c
	return m.share(h), nil
}

func (m *uploadModel) share(h *using) *using {
	h.staged, h.marked = true, true
	return m.add(h)
}

func (m *uploadModel) add(h *using) *using {
	m.handles = append(m.handles, h)
	return h
}

func (m *uploadModel) openInPlace(h *using, link bool, mode uint32) (*using, error) {
	h.c = m.files[h.name]
	switch {
	case h.c != nil:
		if h.truncated = h.truncates(); h.truncated {
			h.c.data = ""
		}
	case h.flags&unix.O_CREAT == 0:
		return nil, unix.ENOENT
	default:
		h.c, h.created, h.made = &content{mode: mode}, true, m.DeleteIncomplete && !link
		m.files[h.name] = h.c
	}
	return m.add(h), nil
}

// finish ends the use of a file.
func (m *uploadModel) finish(h *using, complete bool) (Leftover, error) {
	m.drop(h)
	if !h.staged {
		switch {
		case complete, h.reads() && !h.made:
			return Nothing, nil
		case h.made && m.files[h.name] == h.c:
			delete(m.files, h.name)
			return Deleted, nil
		}
		return Kept, nil
	}
	waits := m.staged[h.name] == h.c
	var err error
	if complete {
		switch {
		case !waits && m.nameOf(h.c) == "":
			return Deleted, ErrRemoved
		case !waits:
			return Nothing, nil
		case !h.exclusive() || m.files[h.name] == nil:
			m.files[h.name] = h.c
			delete(m.staged, h.name)
			return Nothing, nil
		}
		err = unix.EEXIST
	}
	if waits && m.DeleteIncomplete && !m.written(h.c) {
		delete(m.staged, h.name)
		return Deleted, err
	}
	return Kept, err
}

func (m *uploadModel) drop(h *using) {
	for i, o := range m.handles {
		if o == h {
			m.handles = append(m.handles[:i:i], m.handles[i+1:]...)
		}
	}
}

func (m *uploadModel) nameOf(c *content) string {
	for name, o := range m.files {
		if o == c {
			return name
		}
	}
	return ""
}

func (m *uploadModel) remove(name string) error {
	there := m.files[name] != nil
	delete(m.files, name)
	if m.forget(name) || there {
		return nil
	}
	return unix.ENOENT
}

func (m *uploadModel) rename(from, to string, replace bool) error {
	switch {
	case m.files[from] == nil:
		return unix.ENOENT
	case m.files[to] != nil && !replace:
		return unix.EEXIST
	}
	c := m.files[from]
	delete(m.files, from)
	m.files[to] = c
	m.forget(from)
	m.forget(to)
	return nil
}

// stat returns the size that a client sees.
func (m *uploadModel) stat(name string) (int, error) {
	if c := m.files[name]; c != nil {
		return len(c.data), nil
	}
	if c := m.staged[name]; c != nil && !m.DeleteIncomplete && !m.written(c) {
		return len(c.data), nil
	}
	return 0, unix.ENOENT
}

func (m *uploadModel) rmdir() error {
	switch {
	case m.dir == "":
		return unix.ENOENT
	case len(m.files) > 0:
		return unix.ENOTEMPTY
	}
	for _, c := range m.staged {
		if m.written(c) {
			return unix.ENOTEMPTY
		}
	}
	clear(m.staged)
	m.dir = ""
	return nil
}

// write puts text at an offset of a file, or at its end with O_APPEND.
func (h *using) write(off int, text string) {
	if text == "" {
		return
	}
	data := []byte(h.c.data)
	if h.flags&os.O_APPEND != 0 {
		off = len(data)
	}
	for len(data) < off+len(text) {
		data = append(data, 0)
	}
	copy(data[off:], text)
	h.c.data = string(data)
}
