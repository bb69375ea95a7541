package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Files next to the logs of a listener's pods: which notices about keys were recorded, by any of them, and its lock.
const (
	keysName     = "keys.json"
	keysLockName = "keys.lock"
	maxKeysFile  = 64 << 20
	maxLogin     = event.MaxName
)

// keyWatch records the expiration of keys. Nothing waits for it, because its volume may hang.
type keyWatch struct {
	box  *Box
	keys func(after, until time.Time) []Key
	// recorded holds the notices that this process knows to be recorded; unsaved is set if some are missing from the file.
	recorded memory
	unsaved  bool
}

// WatchKeys records, until ctx ends, that keys expire soon and that they have expired, for the sinks that want such events:
// once for each key and sink, by whichever of the listener's pods comes first. If a pod is killed after recording an event,
// or the volume has no locks, the event may be recorded again, with the same ID. keys returns the keys that expire after one
// time but not after another.
func (b *Box) WatchKeys(ctx context.Context, keys func(after, until time.Time) []Key) {
	w := &keyWatch{box: b, keys: keys, recorded: memory{}}
	every := b.KeysEvery
	if every == 0 {
		every = time.Minute
	}
	for wait := min(every, 5*time.Second); ; wait = every {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if o := b.current.Load(); o != nil && o.canRecord() {
			if err := w.pass(o, time.Now()); err != nil {
				o.broken(err)
			}
		}
	}
}

// pass records the notices that are due.
func (w *keyWatch) pass(o *outbox, now time.Time) error {
	if !o.wanted(events.KeyExpiring) && !o.wanted(events.KeyExpired) {
		return nil
	}
	within := o.KeyExpiring()
	due := noticesOf(w.keys(now.Add(-expiredFor), now.Add(within)), o.Source, within, now)
	if !w.unsaved && len(w.recorded.lacking(due, o.wantingNotice)) == 0 {
		return nil // the usual case, which needs no system call
	}
	lock, err := lockKeys(o.base)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	w.recall(o, now)
	if w.recorded.forget(due, now); len(w.recorded) < maxNotices {
		for _, n := range o.announce(w.recorded.lacking(due, o.wantingNotice)) {
			w.recorded.note(n)
			w.unsaved = true
		}
	}
	if w.unsaved {
		if err := w.save(o); err != nil {
			return err
		}
		w.unsaved = false
	}
	return nil
}

// wantingNotice returns the sinks that want a notice.
func (o *outbox) wantingNotice(n notice) []string {
	return o.filter(func(s config.EventSink) bool {
		return wants(s, n.kind) && (!s.Selected || slices.Contains(o.selected(n.Account), s.Name))
	})
}

// announce records notices, and returns those that are on the disk.
func (o *outbox) announce(list []notice) (done []notice) {
	var waiting []*op
	var of []notice
	for _, n := range list {
		if !o.roomForNotice(n.Account) {
			continue // it is recorded once others have been delivered
		}
		next, err := o.record(o.keyEvent(n), n.Account, 0, o.reserve)
		if err != nil {
			continue
		}
		next.sync, next.rec.For = true, n.sinks
		o.put(next)
		waiting, of = append(waiting, next), append(of, n)
	}
	for i, next := range waiting {
		if o.wait(next) == nil {
			done = append(done, of[i])
		}
	}
	return done
}

// canRecord reports whether records can be written now.
func (l *log) canRecord() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open && l.unavailable() == nil
}

// roomForNotice reports whether a notice about a user's key may be recorded now. Unlike the event of an upload, it can wait.
// So all notices together take at most half of the space, and those of one namespace an eighth, even if thousands of keys
// expire at once or a tenant keeps changing when its keys expire.
func (l *log) roomForNotice(account string) bool {
	namespace, _, _ := strings.Cut(account, "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open && l.unavailable() == nil && l.x.total < l.x.max/2 && l.x.namespaces[namespace] < l.x.max/8
}

// lockKeys takes the lock of the file of notices, until it is closed. It returns nil if another pod has the lock and
// therefore records what is due. On a volume without locks it returns a file that locks nothing.
func lockKeys(base string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(base, keysLockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, err
	}
	_ = f.Chmod(fileMode) // see makeDirs
	if err := retry(func() error { return flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, nil //nolint:nilnil // see above
	}
	return f, nil
}

// recall adds what other pods have recorded. An invalid file is replaced, after which some notices are recorded again.
func (w *keyWatch) recall(o *outbox, now time.Time) {
	have, err := readMemory(filepath.Join(o.base, keysName))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			o.logger.Warn("the list of recorded key events is invalid, so some are recorded again", "error", plainError(err))
		}
		w.unsaved = w.unsaved || len(w.recorded) > 0
		return
	}
	last := now.Add(config.MaxKeyExpiring + expiredFor).Unix()
	for id, r := range have {
		r.Until = min(r.Until, last)
		w.recorded.note(notice{id: id, sinks: r.Sinks, until: time.Unix(r.Until, 0)})
	}
}

func readMemory(path string) (memory, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil {
		return nil, err
	}
	return parseMemory(data)
}

// parseMemory parses a file of notices. Other programs can write to the volume.
func parseMemory(data []byte) (memory, error) {
	if len(data) > maxKeysFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxKeysFile)
	}
	var m memory
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&m); err != nil {
		return nil, err
	}
	if len(m) > 2*maxNotices {
		return nil, fmt.Errorf("it has %d entries", len(m))
	}
	for id, r := range m {
		if len(id) != len(events.KeyID("", "", "", "", time.Time{})) || len(r.Sinks) > events.MaxSinks || r.Until <= 0 ||
			slices.ContainsFunc(r.Sinks, func(s string) bool { return !config.SinkName(s) }) {
			return nil, errors.New("it has an invalid entry")
		}
	}
	return m, nil
}

// save writes the file of notices. A kill leaves the previous one.
func (w *keyWatch) save(o *outbox) error {
	data, err := json.Marshal(w.recorded)
	if err != nil {
		return err
	}
	path := filepath.Join(o.base, keysName)
	next := path + "." + o.pod + ".tmp" // without locks, two pods must not write to the same file
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, fileMode)
	if err != nil {
		return err
	}
	_ = f.Chmod(fileMode)
	_, err = f.Write(data)
	if err == nil {
		if err = fdatasync(f); cannotSync(err) {
			err = nil
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}
