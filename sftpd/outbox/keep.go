package outbox

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

const (
	// keepLimit is how many receipts are put into the store at a time, and keepers how many users' receipts are put there
	// concurrently.
	keepLimit = 256
	keepers   = 8
	// trimEach is the number of new receipts of a user after which the user's old ones are removed; trimTime is the interval at
	// which old receipts of all users are removed.
	trimEach = 64
	trimTime = time.Hour
	// clockDrift is how far the clock may be off from the monotonic one. Beyond it, the clock was set, and ages mean
	// nothing.
	clockDrift = 10 * time.Minute
)

// keep puts the receipts of the log into the store, until ctx ends. A receipt in the log is as safe as one in the store, so no
// upload waits for this. If a pod leaves a receipt in its log, the pod that adopts the log puts it into the store.
func (l *log) keep(ctx context.Context) {
	began := time.Now()
	k := keeper{log: l, added: map[string]int{}, failed: map[string]error{}}
	sweep := time.NewTicker(cmp.Or(l.trimEvery, trimTime))
	defer sweep.Stop()
	for ctx.Err() == nil {
		coming := l.coming()
		kept := k.putOldest()
		l.setKeeping(k.problem())
		var again <-chan time.Time
		switch {
		case kept:
			continue
		case len(k.failed) > 0:
			coming, again = nil, time.After(reopenTime)
		}
		select {
		case <-ctx.Done():
		case <-coming:
		case <-again:
		case <-sweep.C:
			now := time.Now()
			if steady(now.Round(0).Sub(began.Round(0)), now.Sub(began)) { // the first one without its monotonic reading
				l.setTrimming(l.store.TrimAll(now, func() bool { return ctx.Err() == nil }), true)
			}
		}
	}
}

// keeper puts receipts into the store. It belongs to one goroutine.
type keeper struct {
	*log
	// added is how many receipts each user got since the old ones were removed.
	added map[string]int
	// failed are the users whose directories could not be written. Their receipts wait until those of other users are stored.
	failed map[string]error
}

// problem returns the error of one of the users' directories, or nil.
func (k *keeper) problem() error {
	if len(k.failed) == 0 {
		return nil
	}
	user := slices.Min(slices.Collect(maps.Keys(k.failed)))
	return fmt.Errorf("%s: %w", user, k.failed[user])
}

// steady reports whether the wall clock agrees with the monotonic one, that is, was not set.
func steady(byClock, passed time.Duration) bool { return (byClock - passed).Abs() < clockDrift }

func (l *log) setKeeping(err error) {
	l.mu.Lock()
	was := l.keeping
	l.keeping = err
	l.mu.Unlock()
	switch {
	case err != nil && (was == nil || plainError(was) != plainError(err)):
		l.logger.Error("receipts cannot be written to their directory", "error", err)
	case err == nil && was != nil:
		l.logger.Info("receipts are written to their directory again")
	}
}

// setTrimming records why old receipts cannot be removed, nil if they can. Only a pass over all users shows that nothing is
// wrong anymore. An error of a single user is logged if there was none before, and each pass logs at most one line.
func (l *log) setTrimming(err error, all bool) {
	l.mu.Lock()
	was := l.trimming
	if err != nil || all {
		l.trimming = err
	}
	l.mu.Unlock()
	switch {
	case err != nil && (was == nil || all):
		l.logger.Error("old receipts cannot be removed", "error", err)
	case err == nil && was != nil && all:
		l.logger.Info("old receipts can be removed again")
	}
}

// putOldest puts the oldest receipts of the log into the store. It reports whether there may be more that can be put immediately.
func (k *keeper) putOldest() bool {
	places := k.oldest()
	if len(places) == 0 && len(k.failed) > 0 {
		clear(k.failed) // all have been tried
		places = k.oldest()
	}
	if len(places) == 0 {
		return false
	}
	of, bad := map[string][]*receipt.Envelope{}, map[uint64]bool{}
	for _, p := range places {
		r, err := readRecord(p.seg.file, p.off, p.size)
		k.unread(p)
		if err == nil && len(r.Receipt) == 0 { // there was no checksum; see narrow
			bad[p.n] = true
			continue
		}
		var e *receipt.Envelope
		if err == nil {
			e, err = receipt.DecodeEnvelope(r.Receipt)
		}
		if err == nil {
			err = receipts.Check(r.User, e)
		}
		if err != nil {
			k.logger.Error("a recorded receipt is unreadable and was dropped", "error", err)
			bad[p.n] = true
			continue
		}
		of[r.User] = append(of[r.User], e)
	}
	k.fail("keep")
	k.putAll(of)
	k.fail("kept")
	return k.settle(places, bad) > 0
}

// oldest returns where the oldest receipts are, except those of users whose directories failed.
func (k *keeper) oldest() []place {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.open {
		return nil
	}
	return k.collectOf(k.x.receipts(), 0, keepLimit, false, func(e *entry) bool { return k.failed[e.user.name] == nil })
}

// settle releases receipts that the log need not keep, including invalid ones, and returns their number.
func (k *keeper) settle(places []place, bad map[uint64]bool) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.x.receipts()
	for _, p := range places {
		if i, ok := k.x.find(p.n); ok && (bad[p.n] || k.failed[k.x.entries[i].user.name] == nil) {
			k.x.release(i, 1<<at)
			n++
		}
	}
	// Only the acknowledged position survives the process: everything before the first receipt that is still needed. The
	// rest is put into the store again.
	until := places[len(places)-1].n
	if first := k.x.first(at); first != nil {
		until = min(until, first.n-1)
	}
	if k.x.ack(at, until) {
		k.stampLocked()
	}
	k.x.tidy()
	return n
}

// trims counts new receipts of a user, and reports whether to remove the user's old ones now: at the first new one in this
// process, and then after trimEach.
func (k *keeper) trims(user string, more int) bool {
	n, known := k.added[user]
	if n += more; known && n < trimEach {
		k.added[user] = n
		return false
	}
	k.added[user] = 0
	return true
}

// putAll puts receipts into the store, user by user, and removes old ones of users that got many.
func (k *keeper) putAll(of map[string][]*receipt.Envelope) {
	var mu sync.Mutex
	var putting sync.WaitGroup
	turns := make(chan struct{}, keepers)
	for user, list := range of {
		trim := k.trims(user, len(list))
		turns <- struct{}{}
		putting.Go(func() {
			defer func() { <-turns }()
			if err := k.store.Put(user, list); err != nil {
				mu.Lock()
				defer mu.Unlock()
				k.failed[user] = err
			} else if trim {
				k.setTrimming(k.store.Trim(user, time.Now()), false) // the new ones are there nevertheless
			}
		})
	}
	putting.Wait()
	for user := range k.failed {
		delete(k.added, user)
	}
	if len(k.added) > maxChains {
		clear(k.added)
	}
}
