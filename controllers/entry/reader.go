// Package entry reads what users' Secrets contain, in the background: nothing that is delivered to
// pods waits for a read or a hash, and no namespace holds up another one's.
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

// readers is how many reads may be under way. A namespace has at most half of them.
const readers = 8

// Bounds of calls: of a read, and of a look into the cache, which is in memory.
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
	// Wake is called when what is known of an entry that a listener refers to has changed. Several
	// changes may be one call. It must not block.
	Wake func(listener types.NamespacedName)
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Reader knows the entries of Secrets that users refer to.
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
	// delivered is what entries had that have not been referred to yet, see Deliver.
	delivered map[credentials.Ref]credentials.Entry
	// stopped reports whether the workers have ended.
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

// hashers is how many hashes may be computed at a time. Each takes 19 MiB, and the rest of the
// operator needs a CPU, too.
func hashers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Get returns what is known of a reference without waiting, and has it read when its Secret in the
// cache has changed. Once that is done, or when a secret is not used any more because it was not
// done in time, the listener is woken. The mark identifies what is returned: as long as it is the
// same, so is the entry.
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

// Retain forgets the references of a listener that are not among refs; with nil, all of them.
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

// Seed gives passwords that an earlier operator rendered, by their Source, so that equal passwords
// keep their hashes. It has no effect on what was read before.
func (r *Reader) Seed(previous map[string]*config.Password) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for source, p := range previous {
		r.seeds.add(source, p)
	}
}

// Deliver gives what an earlier operator delivered of an entry. It counts until the entry has been read. It has no effect on one
// that was referred to before.
func (r *Reader) Deliver(ref credentials.Ref, e credentials.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records[ref] == nil {
		r.delivered[ref] = e
	}
}

// advance does what is due for a record: it wakes the listeners of a secret that is not used any
// more, and queues a read.
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

// schedule has a record looked at again at a time, or before.
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
		// A timer that was replaced may have fired already; it looks at the record once more.
		if r.records[rec.ref] == rec && !r.stopped {
			rec.alarm = time.Time{}
			r.advance(rec, time.Now())
		}
	})
}
