// Package entry reads what users' Secrets contain, in the background: nothing that is delivered to
// pods waits for a read or a hash, and no namespace delays another one.
package entry

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/turns"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// readers is how many reads may be in progress. A namespace gets at most half of them.
const readers = 8

// Timeouts of calls: of a read, and of a cache lookup, which is in memory.
const (
	readTimeout  = 5 * time.Second
	cacheTimeout = 100 * time.Millisecond
)

// Options of a Reader.
type Options struct {
	// Metadata is a cache of the metadata of Secrets.
	Metadata client.Reader
	// Live reads Secrets from the API server.
	Live client.Reader
	// Wake is called when what is known about an entry that a listener refers to has changed.
	// Several changes may cause one call. It must not block.
	Wake func(listener types.NamespacedName)
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Reader reads the entries of Secrets that users refer to.
type Reader struct {
	Options
	metrics metrics
	// macKey recognizes passwords; it lives as long as the process.
	macKey [32]byte
	hash   func([]byte) (string, error)
	reads  *turns.Queue[*record]
	hashes *turns.Queue[hashTask]
	wakes  wakes

	mu      sync.Mutex
	records map[credentials.Ref]*record
	// refs of each listener.
	refs  map[types.NamespacedName]map[credentials.Ref]bool
	seeds seeds
	// delivered has entries that have not been referred to yet; see Deliver.
	delivered map[credentials.Ref]credentials.Entry
	// stopped is set once the workers have ended.
	stopped bool
}

// New returns a Reader. Its methods can be used before Start, which does the work.
func New(o Options) *Reader {
	r := &Reader{
		Options: o,
		hash:    password.New,
		reads:   turns.New[*record](readers / 2),
		hashes:  turns.New[hashTask](hashers() / 2),
		wakes:   newWakes(o.Wake),
		records: map[credentials.Ref]*record{},
		refs:    map[types.NamespacedName]map[credentials.Ref]bool{},
		seeds:   seeds{},

		delivered: map[credentials.Ref]credentials.Entry{},
	}
	_, _ = rand.Read(r.macKey[:]) // never fails
	r.metrics = newMetrics(o.Registerer, r.reads.Len, r.hashes.Len)
	return r
}

// hashers returns how many hashes may be computed at a time. Each takes 19 MiB, and the rest
// of the operator also needs a CPU.
func hashers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Get returns what is known about a reference without waiting, and queues a read if its Secret in
// the cache has changed. The listener is woken once that is done, or when it took too long and a
// secret is no longer used. The mark identifies the result: while it is the same, so is the entry.
func (r *Reader) Get(listener types.NamespacedName, ref credentials.Ref) (e credentials.Entry, mark uint64) {
	if e, invalid := ref.Invalid(); invalid {
		return e, 0
	}
	version, err := r.cached(ref)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.record(listener, ref)
	if err != nil {
		e := rec.shown(now)
		e.Failure = failureText(err)
		return e, nextMark()
	}
	if version == "" {
		rec.missing()
	} else {
		rec.want(version, now)
	}
	r.advance(rec, now)
	return rec.shown(now), rec.marked(now)
}

// cached returns the version of the Secret in the cache, "" if there is none.
func (r *Reader) cached(ref credentials.Ref) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cacheTimeout)
	defer cancel()
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Metadata.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Secret}, m)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("cache: %w", err)
	}
	return m.ResourceVersion, nil
}

// record returns the record of a reference of a listener.
func (r *Reader) record(listener types.NamespacedName, ref credentials.Ref) *record {
	rec := r.records[ref]
	if rec == nil {
		rec = &record{ref: ref, listeners: map[types.NamespacedName]bool{}, entry: r.delivered[ref], mark: nextMark()}
		delete(r.delivered, ref)
		r.records[ref] = rec
	}
	if !rec.listeners[listener] {
		rec.listeners[listener] = true
		if r.refs[listener] == nil {
			r.refs[listener] = map[credentials.Ref]bool{}
		}
		r.refs[listener][ref] = true
	}
	return rec
}

// Retain forgets a listener's references that are not in refs; with nil, all of them.
func (r *Reader) Retain(listener types.NamespacedName, refs map[credentials.Ref]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref := range r.refs[listener] {
		if refs[ref] {
			continue
		}
		delete(r.refs[listener], ref)
		rec := r.records[ref]
		if delete(rec.listeners, listener); len(rec.listeners) > 0 {
			continue
		}
		delete(r.records, ref)
		if rec.timer != nil {
			rec.timer.Stop()
		}
	}
	if len(r.refs[listener]) == 0 {
		delete(r.refs, listener)
	}
}

// Seed provides passwords that an earlier operator rendered, by their Source, so that equal
// passwords keep their hashes. It has no effect on what has already been read.
func (r *Reader) Seed(previous map[string]*config.Password) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for source, p := range previous {
		r.seeds.add(source, p)
	}
}

// Deliver provides what an earlier operator delivered for an entry. It is used until the entry has been read. It has no
// effect on an entry that has already been referred to.
func (r *Reader) Deliver(ref credentials.Ref, e credentials.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records[ref] == nil {
		r.delivered[ref] = e
	}
}

// advance does what is due for a record: it wakes the listeners of a secret that is no longer
// used, and queues a read.
func (r *Reader) advance(rec *record, now time.Time) {
	if rec.current() || r.stopped {
		return
	}
	if rec.losable() && !rec.dropped {
		if rec.unconfirmed(now) {
			rec.dropped = true
			r.wakes.add(rec.listeners)
		} else {
			r.schedule(rec, rec.staleSince.Add(confirmWithin), now)
		}
	}
	if rec.busy {
		return
	}
	if at := rec.readableAt(now); now.Before(at) {
		r.schedule(rec, at, now)
		return
	}
	rec.spent++
	rec.busy = true
	r.reads.Push(rec.ref.Namespace, rec)
}

// schedule makes sure that a record is checked again by a time.
func (r *Reader) schedule(rec *record, at, now time.Time) {
	if !rec.alarm.IsZero() && !at.Before(rec.alarm) {
		return
	}
	if rec.timer != nil {
		rec.timer.Stop()
	}
	rec.alarm = at
	rec.timer = time.AfterFunc(at.Sub(now), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		// A timer that was replaced may have fired already; then it checks the record once more.
		if r.records[rec.ref] == rec && !r.stopped {
			rec.alarm = time.Time{}
			r.advance(rec, time.Now())
		}
	})
}
