package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

const (
	// keepLimit is how many receipts are put into the store at a time, keepers how many users' at once.
	keepLimit = 256
	keepers   = 8
	// trimEach is how many receipts of a user are put there until old ones are removed, trimTime the time between looks at all users.
	trimEach = 64
	trimTime = time.Hour
	// clockDrift is how far the clock may be from where it should be: ages mean nothing after it was set.
	clockDrift = 10 * time.Minute
)

// keep puts the receipts of the log into the store, until ctx ends. A receipt that is in the log is as safe as one in the store, so
// no upload waits for this; one that a pod leaves in its log gets there from the pod that adopts it.
func (l *log) keep(ctx context.Context) {
	began := time.Now()
	added := map[string]int{} // by user, since its old receipts were removed
	sweep := time.NewTicker(trimTime)
	defer sweep.Stop()
	for ctx.Err() == nil {
		coming := l.coming()
		n, err := l.keepSome(added)
		l.setKeeping(err)
		var again <-chan time.Time
		switch {
		case err != nil:
			coming, again = nil, time.After(reopenTime)
		case n > 0:
			continue
		}
		select {
		case <-ctx.Done():
		case <-coming:
		case <-again:
		case <-sweep.C:
			now := time.Now()
			if steady(now.Round(0).Sub(began.Round(0)), now.Sub(began)) { // the first without the monotonic clock
				l.setKeeping(l.store.TrimAll(now, func() bool { return ctx.Err() == nil }))
			}
		}
	}
}

// steady reports whether the clock was not set: what has passed by it is what has passed.
func steady(byClock, passed time.Duration) bool { return (byClock - passed).Abs() < clockDrift }

func (l *log) setKeeping(err error) {
	l.mu.Lock()
	was := l.keeping
	l.keeping = err
	l.mu.Unlock()
	switch {
	case err != nil && (was == nil || plainError(was) != plainError(err)):
		l.logger.Error("receipts do not reach their directory", "error", err)
	case err == nil && was != nil:
		l.logger.Info("receipts reach their directory again")
	}
}

// keepSome puts the oldest receipts of the log into the store, and returns how many there were.
func (l *log) keepSome(added map[string]int) (int, error) {
	l.mu.Lock()
	if !l.open {
		l.mu.Unlock()
		return 0, nil
	}
	places := l.collectOf(l.x.receipts(), 0, keepLimit, false)
	l.mu.Unlock()
	if len(places) == 0 {
		return 0, nil
	}
	of := map[string][]*receipt.Envelope{}
	for _, p := range places {
		r, err := readRecord(p.seg.file, p.off, p.size)
		l.unread(p)
		if err == nil && len(r.Receipt) == 0 { // there was no checksum; see narrow
			continue
		}
		var e *receipt.Envelope
		if err == nil {
			e, err = receipt.DecodeEnvelope(r.Receipt)
		}
		if err != nil {
			l.logger.Error("a recorded receipt cannot be read and is dropped", "error", err)
			continue
		}
		of[r.User] = append(of[r.User], e)
	}
	l.fail("keep")
	if err := l.putAll(of, added); err != nil {
		return 0, err
	}
	l.fail("kept")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.x.ack(l.x.receipts(), places[len(places)-1].n) {
		l.stampLocked()
	}
	return len(places), nil
}

// putAll puts receipts into the store, by user, and removes old ones of users who got many.
func (l *log) putAll(of map[string][]*receipt.Envelope, added map[string]int) error {
	var mu sync.Mutex
	var failed error
	var putting sync.WaitGroup
	turns := make(chan struct{}, keepers)
	for user, list := range of {
		n, known := added[user]
		trim := !known || n+len(list) >= trimEach
		if added[user] = n + len(list); trim {
			added[user] = 0
		}
		turns <- struct{}{}
		putting.Go(func() {
			defer func() { <-turns }()
			err := l.store.Put(user, list)
			if err == nil && trim {
				err = l.store.Trim(user, time.Now())
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = fmt.Errorf("%s: %w", user, err)
			}
		})
	}
	putting.Wait()
	if failed != nil || len(added) > maxChains {
		clear(added)
	}
	return failed
}
