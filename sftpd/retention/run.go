package retention

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// quietTime is longer than a session can go without a request: limits.idleTimeoutSeconds is at most a day.
const quietTime = 25 * time.Hour

// Directory is a directory that a rule applies to.
type Directory struct {
	// Path beneath the volume, "" for all of it.
	Path string
	// Account is "namespace/name" of the user that it belongs to, "" for none.
	Account string
}

// run applies one rule to one volume.
type run struct {
	rule   config.RetentionRule
	volume int // O_PATH
	// now is the volume's time at the beginning, and trust determines what counts as the time of a file.
	now   time.Time
	trust Trust
	holds *holds
	pace  *pace
	// most is how many entries a directory may have, maxEntries if it is 0.
	most int64
	// leftovers is set for the built-in rule, which only concerns leftovers.
	leftovers bool
	// openByUser reports whether a directory must stay even if it is empty.
	openByUser func(path string) bool
	// steady returns an error if a clock was set since the beginning.
	steady func() error
	// found is called for each file immediately before it is deleted. If it returns an error, the file stays and the run
	// ends.
	found func(event.FileExpired) error

	deleted, inUse, failed int64
	lastErr                error
}

func (r *run) cutoff() time.Time {
	return r.now.Add(-time.Duration(r.rule.DeleteAfterSeconds) * time.Second)
}

func (r *run) wanted(name string) bool {
	if r.leftovers {
		return leftover(name)
	}
	return matches(r.rule.Match, name)
}

func (r *run) uploaded(a *attributes) time.Time { return r.trust.Uploaded(a.btime, a.ctime) }

// count counts the files of a directory.
func (r *run) count(ctx context.Context, d Directory) (*Counted, error) {
	c := &Counted{Path: d.Path, Account: d.Account}
	keep := &newest{limit: r.rule.KeepNewest}
	cutoff := r.cutoff()
	w := &walk{volume: r.volume, most: cmp.Or(r.most, maxEntries), pace: r.pace, held: r.holds.held, wanted: r.wanted, visit: func(e *entry) error {
		at := r.uploaded(&e.attributes)
		c.Files++
		keep.add(at, e.size)
		if !at.After(cutoff) {
			c.Due, c.Bytes = c.Due+1, c.Bytes+e.size
		}
		return nil
	}}
	err := w.from(ctx, d.Path)
	if errors.Is(err, errTooLarge) {
		c.TooLarge, err = true, nil
	}
	c.KeepFrom, c.Skipped = keep.keepFrom(), w.skipped
	c.Kept, c.KeptBytes = keep.due(cutoff)
	return c, err
}

// delete deletes the files of a directory that are due, as many as the budget allows.
func (r *run) delete(ctx context.Context, b Budget) error {
	left := b.Files
	remove := func(e *entry, at time.Time) error {
		if left == 0 {
			return nil
		}
		if err := r.steady(); err != nil {
			return err
		}
		left--
		return r.remove(e, event.FileExpired{Account: b.Account, Path: e.path(), Size: e.size, Uploaded: at})
	}
	if !r.rule.EmptyDirectories {
		return r.due(ctx, b.Counted, remove, nil)
	}
	return r.due(ctx, b.Counted, remove, func(parent, dir *entry) error { return r.removeDirectory(parent, dir, b.Account) })
}

// due visits the files of a directory that are due, and empty directories.
func (r *run) due(ctx context.Context, c *Counted, visit func(*entry, time.Time) error, empty func(parent, dir *entry) error) error {
	cutoff := r.cutoff()
	w := &walk{volume: r.volume, most: cmp.Or(r.most, maxEntries), pace: r.pace, held: r.holds.held, wanted: r.wanted, empty: empty}
	w.visit = func(e *entry) error {
		at := r.uploaded(&e.attributes)
		if at.After(cutoff) || at.UnixNano() >= c.KeepFrom {
			return nil
		}
		return visit(e, at)
	}
	err := w.from(ctx, c.Path)
	if errors.Is(err, errTooLarge) { // it has grown
		return nil
	}
	return err
}

// errMoved: the directory is no longer where the rule looked for it.
var errMoved = errors.New("the directory was moved")

// stopped wraps an error that ends a run.
type stopped struct{ error }

func (s stopped) Unwrap() error { return s.error }

// remove removes a file.
func (r *run) remove(e *entry, ev event.FileExpired) error {
	ev.Rule = r.rule.Name
	seen := vfs.Seen{Dev: e.id.dev, Ino: e.id.ino, CtimeSec: e.ctime.Unix(), CtimeNsec: int64(e.ctime.Nanosecond())}
	// A client may move the directory out of the rule's while it is open here.
	agreed := func() error {
		if !isAt(r.volume, e.dirPath, e.dirID) {
			return errMoved
		}
		if err := r.found(ev); err != nil {
			return stopped{err}
		}
		return nil
	}
	quiet := r.now.Sub(e.ctime) > quietTime
	if vfs.Staged(e.name) {
		return r.result(vfs.RemoveStale(e.dir, e.name, seen, quiet, agreed))
	}
	return r.result(vfs.Expire(e.dir, e.name, seen, quiet, agreed))
}

// result counts what happened to a file. Only errors that concern all files end the run.
func (r *run) result(err error) error {
	if stop, ok := errors.AsType[stopped](err); ok {
		return stop
	}
	switch {
	case err == nil:
		r.deleted++
	case errors.Is(err, vfs.ErrUploading):
		r.inUse++
	case errors.Is(err, vfs.ErrNotRestored):
		r.failed, r.lastErr = r.failed+1, err
	case errors.Is(err, vfs.ErrChanged), errors.Is(err, errMoved), errors.Is(err, unix.ENOENT): // it is no longer due
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY):
		r.failed, r.lastErr = r.failed+1, err
	default:
		return err
	}
	return nil
}

// removeDirectory removes an empty directory that is due. Only an empty one can be removed, so checking that it is the right
// one at this moment is enough.
func (r *run) removeDirectory(parent, dir *entry, account string) error {
	at := r.uploaded(&dir.attributes)
	if at.After(r.cutoff()) || r.openByUser(dir.dirPath) {
		return nil
	}
	if err := r.steady(); err != nil {
		return err
	}
	is, err := look(parent.dir, parent.name)
	if err != nil || is.id != dir.id || !isAt(r.volume, parent.dirPath, parent.dirID) {
		return nil //nolint:nilerr // it was moved or removed
	}
	ev := event.FileExpired{Rule: r.rule.Name, Account: account, Path: dir.dirPath, Uploaded: at, Directory: true}
	if err := r.found(ev); err != nil {
		return err
	}
	switch err := retry(func() error { return unix.Unlinkat(parent.dir, parent.name, unix.AT_REMOVEDIR) }); err {
	case nil, unix.ENOENT, unix.ENOTEMPTY, unix.EEXIST, unix.ENOTDIR, unix.EBUSY:
	case unix.EACCES, unix.EPERM:
		r.failed, r.lastErr = r.failed+1, err
	default:
		return err
	}
	return nil
}
