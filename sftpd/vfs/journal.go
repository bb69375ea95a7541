package vfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Journal records complete files, so that whatever depends on them learns about them even if the process is killed. Its
// errors have fixed texts, which clients see.
type Journal interface {
	// Admits returns an error if an upload that begins now could not be recorded.
	Admits() error
	// Temporary reports whether clients use a file name until an upload is complete.
	Temporary(name string) bool
	// Publishing records that a file is about to get its name. An error keeps the file from getting it. Otherwise one method
	// of the outcome is called.
	Publishing(p *Publication) (Outcome, error)
	// Written records a file that was written under its name, or has been published by another handle.
	Written(p *Publication) error
}

// Outcome receives the outcome of what was recorded ahead.
type Outcome interface {
	// Published: the file has its name. An error makes the request fail, although the file has its new name.
	Published() error
	// Failed: the file does not have its name.
	Failed()
}

// Publication is a file that is complete.
type Publication struct {
	// Path is the virtual path, and OriginalPath the path before a rename.
	Path, OriginalPath string
	// Dir is the host's directory of the file, Name its name there, and Temp the name that it has before it is published, in
	// the same directory; "" for a rename and for a file that was written in place.
	Dir, Name, Temp string
	// Inode of the file, its size in bytes, and when it was last written to, in nanoseconds since 1970.
	Inode   uint64
	Size    int64
	ModTime int64
	// Replaced: the name belonged to another file, or the file existed before.
	Replaced bool
	// SHA256 of the content in hexadecimal, "" if it is not known.
	SHA256 string
	// BytesWritten by the client through this handle.
	BytesWritten uint64
	// Sync: the outcome must be on the disk when it is reported.
	Sync bool
}

// WithJournal records what is uploaded. Without it, nothing is recorded.
func WithJournal(j Journal) Option { return func(t *Tree) { t.journal = j } }

// recorded is what a journal needs to know about a file. Its methods do nothing for nil.
type recorded struct {
	journal Journal
	tree    *Tree
	path    string
	// dir is the host's directory of a staged file when it was opened.
	dir     string
	written uint64
	failed  bool
}

// Note records what was done with a file before it is finished: how many bytes were written, and whether a request failed. A file
// that was opened for writing and not written to is not recorded, nor is one whose content is not what the client sent.
func (f *File) Note(written uint64, failed bool) {
	if f.rec != nil {
		f.rec.written, f.rec.failed = written, failed
	}
}

// recordable returns an error if no upload can be recorded now.
func (t *Tree) recordable() error {
	if t.journal == nil {
		return nil
	}
	return notRecorded(t.journal.Admits())
}

// notRecorded turns an error of a journal into one of this package.
func notRecorded(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err.Error(), unix.EBUSY}
}

// ahead records that a staged file is about to be published.
func (r *recorded) ahead(f *File, from parent, name string) (Outcome, error) {
	if r == nil {
		return nil, nil
	}
	p := r.publication(f)
	p.Name, p.Temp, p.Dir = name, from.name, hostPath(from.fd)
	r.follow(p)
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return nil, err
	}
	p.Inode, p.Size, p.ModTime, p.Replaced = st.Ino, st.Size, st.Mtim.Nano(), f.truncated
	outcome, err := r.journal.Publishing(p)
	return outcome, notRecorded(err)
}

// inPlace records a file that already has its final name.
func (r *recorded) inPlace(f *File) error {
	if r == nil || r.failed || r.written == 0 && !f.created && !f.truncated {
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	p := r.publication(f)
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return err
	}
	if err := r.find(f, p, &st); err != nil {
		return err
	}
	p.Inode, p.Size, p.ModTime, p.Replaced = st.Ino, st.Size, st.Mtim.Nano(), !f.created
	return notRecorded(r.journal.Written(p))
}

func (r *recorded) publication(f *File) *Publication {
	return &Publication{Path: r.path, SHA256: f.sum.known(), BytesWritten: r.written, Sync: f.sync}
}

// completion is an upload that gets its name by a rename.
type completion struct {
	Outcome
	*Publication
}

// completes records that a rename is about to give an upload its name: a rename from a temporary name to one that is not
// temporary. Its checksum is computed now: whatever was known when the file was closed, it may have been changed since. It
// returns nil for any other rename.
func (t *Tree) completes(from, to parent, oldp, newp string, work Work) (*completion, error) {
	if t.journal == nil || !t.journal.Temporary(from.name) || t.journal.Temporary(to.name) {
		return nil, nil
	}
	var st, there unix.Stat_t
	if err := lstatAt(from.fd, from.name, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, nil
	}
	p := &Publication{
		Path: Clean(t.absolute(newp)), OriginalPath: Clean(t.absolute(oldp)), Dir: hostPath(to.fd), Name: to.name,
		Inode: st.Ino, Size: st.Size, ModTime: st.Mtim.Nano(), Replaced: lstatAt(to.fd, to.name, &there) == nil, Sync: t.staging.Sync,
	}
	if err := t.sumNamed(p, from, identityOf(&st), work); err != nil {
		return nil, err
	}
	outcome, err := t.journal.Publishing(p)
	if err != nil {
		return nil, notRecorded(err)
	}
	return &completion{outcome, p}, nil
}

// settled reports the outcome of a rename; a nil c means that it completes no upload. A client that writes the file through an
// older handle, and whose CLOSE was answered while the file still had its temporary name, relies on this record: if the file has
// changed since, that is recorded as well.
func (t *Tree) settled(c *completion, to parent, err error, work Work) error {
	if c == nil {
		return err
	}
	if err := settle(c.Outcome, err); err != nil {
		return err
	}
	var st unix.Stat_t
	there := lstatAt(to.fd, to.name, &st) == nil && st.Ino == c.Inode
	if !there || st.Size == c.Size && st.Mtim.Nano() == c.ModTime {
		return nil
	}
	again := *c.Publication
	again.Size, again.ModTime, again.Replaced = st.Size, st.Mtim.Nano(), true
	if err := t.sumNamed(&again, to, identityOf(&st), work); err != nil {
		return err
	}
	return notRecorded(t.journal.Written(&again))
}

// settle reports the outcome of what was recorded ahead; o is nil if nothing was.
func settle(o Outcome, err error) error {
	switch {
	case o == nil:
		return err
	case err != nil:
		o.Failed()
		return err
	}
	return notRecorded(o.Published())
}

// hostPath returns the host's path of an open directory, "" if it is not known. It is only for the journal.
func hostPath(fd int) string {
	path, err := readlinkAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd))
	if err != nil {
		return ""
	}
	return path
}
