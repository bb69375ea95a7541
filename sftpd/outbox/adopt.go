package outbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// adopt takes over the logs of other pods whose owners are gone, and those that were left on another volume, until ctx ends.
func (l *log) adopt(ctx context.Context) {
	l.mu.Lock()
	noLocks := l.noLocks
	l.mu.Unlock()
	if noLocks {
		return // without locks, it is unknown whether an owner is gone
	}
	wait := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = adoptTime
		l.mu.Lock()
		bases := append([]string{l.base}, l.elsewhere...)
		l.mu.Unlock()
		for _, base := range bases {
			l.adoptAll(ctx, base)
		}
	}
}

// adoptAll takes over the logs in a directory, which may not exist.
func (l *log) adoptAll(ctx context.Context, base string) {
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.broken(err)
	}
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		if !e.IsDir() || dir == l.dir || ctx.Err() != nil {
			continue
		}
		if err := l.adoptDir(ctx, dir); err != nil && !errors.Is(err, errOwned) {
			l.logger.Warn("events of another pod cannot be adopted yet", "pod", e.Name(), "error", plainError(err))
		}
	}
}

var errNoRoom = errors.New("the log is full")

// adoptDir copies the events of a log without an owner, and removes the log. If it is interrupted, the next one begins again,
// and some events are delivered twice.
func (l *log) adoptDir(ctx context.Context, dir string) error {
	lock, noLocks, err := takeLock(dir, false)
	if errors.Is(err, os.ErrNotExist) {
		return l.removeEmpty(dir)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if noLocks {
		return errOwned
	}
	have, err := load(dir)
	if err != nil {
		return err
	}
	defer have.close()
	ops, size, err := l.adopted(ctx, have)
	if err != nil {
		return err
	}
	l.mu.Lock()
	full := l.x.total+size > l.x.max && l.x.total > 0
	l.mu.Unlock()
	if full {
		return errNoRoom
	}
	for _, o := range ops {
		l.put(o)
	}
	for _, o := range ops {
		if err := l.wait(o); err != nil {
			return err
		}
	}
	l.logger.Info("events of another pod were adopted", "pod", filepath.Base(dir), "events", len(ops), "damaged", have.damaged)
	return removeLog(dir)
}

// adopted returns records for what sinks still need of another log.
func (l *log) adopted(ctx context.Context, have *loaded) (ops []*op, size int64, err error) {
	l.mu.Lock()
	names := make([]string, 0, len(l.sinks))
	for _, s := range l.sinks {
		names = append(names, s.Name)
	}
	names = append(names, receiptsSink)
	l.mu.Unlock()
	add := func(o *op) {
		o.sync = true
		size += estimate(o.rec.Event) + int64(len(o.rec.Receipt)) + estimateReceipt(o.receipt)
		ops = append(ops, o)
	}
	for i := range have.events {
		e := &have.events[i]
		pending := e.names
		if !e.dead {
			pending = nil
			for _, name := range names {
				acked, known := have.acked[name]
				if known && acked < e.n && !e.moved[name] && (len(e.names) == 0 && l.wants(name, e) || slices.Contains(e.names, name)) {
					pending = append(pending, name)
				}
			}
		}
		if len(pending) == 0 {
			continue
		}
		r, err := readRecord(e.seg.file, e.off, e.size)
		if err != nil {
			have.damaged++
			continue
		}
		out := record{
			Kind: recorded, User: r.User, Type: r.Type, For: pending, At: min(r.At, time.Now().Unix()), Dead: r.Dead, Event: r.Event,
		}
		if slices.Contains(pending, receiptsSink) {
			out.Receipt = r.Receipt // the chain ends with its pod
		}
		add(&op{rec: out})
	}
	for _, u := range have.unsettled {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		// A volume that hangs delays only the adoption.
		r := outcome(&u.rec, look)
		l.mu.Lock()
		l.narrow(&r)
		l.mu.Unlock()
		if r.Kind == recorded {
			r.Of = 0
			add(l.withReceipt(r))
		}
	}
	return ops, size, nil
}

func (l *log) wants(name string, e *loadedEvent) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name == receiptsSink {
		return e.receipt
	}
	i, ok := l.x.sink(name)
	return ok && l.x.wanting(e.typ, nil, false)&(1<<i) != 0
}

// removeEmpty removes a directory without a lock file: its owner was killed before creating one. Young directories are
// skipped, since one may be in the process of being created.
func (l *log) removeEmpty(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || time.Since(info.ModTime()) < time.Minute {
		return nil //nolint:nilerr // another pod is removing it
	}
	return os.Remove(dir) // fails if there is something in it
}

// removeLog removes a log's directory. The lock, which is held, goes last.
func removeLog(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockName {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		return err
	}
	return os.Remove(dir)
}
