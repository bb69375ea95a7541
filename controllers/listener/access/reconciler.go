// Package access delivers access (who may log in) to listeners' pods. It takes what the informers have, compiles, and writes:
// no other object is applied, no pod asked, no Secret read and no password hashed before a user that lost access is gone from
// the configuration.
package access

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/due"
	"github.com/sftp-operator/sftp-operator/controllers/entry"
	"github.com/sftp-operator/sftp-operator/controllers/feed"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/spans"
	"github.com/sftp-operator/sftp-operator/controllers/wake"
)

// Reconciler delivers the configurations of listeners.
type Reconciler struct {
	// Client reads listeners from the caches, and Live the Secrets of an earlier operator.
	Client client.Client
	Live   client.Reader
	// Users, Keys, Namespaces and Entries are what the informers have.
	Users      *feed.Users
	Keys       *feed.Keys
	Namespaces *feed.Namespaces
	Entries    *entry.Reader
	Writer     *delivery.Writer
	// Store is where results go, and Delivered wakes the listener controller when there is a new one.
	Store     *exchange.Store
	Delivered *wake.Waker
	// Announcer makes the pods of a listener load what was written. It does not block.
	Announcer *Announcer
	// Platform has the platform team's policy for all listeners; nil for none.
	Platform *platform.Source
	Now      func() time.Time
	// Tracer creates spans of reconciles and their steps; nil for none.
	Tracer trace.Tracer

	mu sync.Mutex
	// memories by listener. mu protects the map; a memory is only used by the one reconcile of its listener that runs at a
	// time.
	memories map[types.NamespacedName]*memory
}

// memory is what is kept of a listener between reconciles.
type memory struct {
	uid types.UID
	// recalled is what an earlier operator delivered, nil until it has been read.
	recalled *recalled
	trust    trust
	compiled compile.Memo
	// last is what was last compiled.
	last   compile.Output
	users  []*compile.User
	writes delivery.Cache
	pace   delivery.Pace
	// lines are the records as last delivered.
	lines compile.Lines
	// announced is the last announced version, and proofs are the keys with which pods prove their answers.
	announced *delivery.Version
	proofs    ack.Keys
	// failures in a row, for the deadline of the next try.
	failures int
	// refused is the time since which the API server has refused Secrets, zero if it does not, and wanted the digest of what was
	// to be written then.
	refused time.Time
	wanted  string
}

// firstDeadline bounds the first try to deliver. Each further one gets twice the time, up to 32 seconds with the sixth: a
// hanging call must not keep a removal from being retried, and a slow API server must not keep it from succeeding.
const (
	firstDeadline = time.Second
	doublings     = 5
	// recallDeadline bounds the reading of what an earlier operator delivered, before which nothing can be written.
	recallDeadline = 15 * time.Second
	// lookAgain is when to check the Secrets again after another client changed one while they were being written.
	lookAgain = 100 * time.Millisecond
)

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	l := &v1alpha1.SFTPListener{}
	if err := client.IgnoreNotFound(r.Client.Get(ctx, req.NamespacedName, l)); err != nil {
		return ctrl.Result{}, fmt.Errorf("read listener: %w", err)
	}
	if l.UID == "" || !l.DeletionTimestamp.IsZero() {
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if l.Annotations[v1alpha1.AnnotationPaused] == "true" {
		r.pause(l)
		return ctrl.Result{}, nil
	}
	m := r.memory(req.NamespacedName, l.UID)
	ctx, span := spans.Reconcile(ctx, r.Tracer, "deliver configuration", req.NamespacedName)
	defer func() { spans.Finish(span, err) }()
	out, wait := r.contained(ctx, l, m)
	if out.waits {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	r.publish(l, out)
	describe(span, l, out)
	if err := out.failure(); err != nil {
		m.failures++
		return ctrl.Result{}, err
	}
	m.failures = 0
	return ctrl.Result{RequeueAfter: wait}, nil
}

// result is the result of one delivery.
type result struct {
	exchange.Access
	// waits reports whether nothing was written because everything can wait briefly. Until then there is nothing to report.
	waits bool
}

// failure returns the error to be retried soon.
func (r result) failure() error {
	if r.Err != nil {
		return r.Err
	}
	return r.Delivered.Err
}

var errPanic = errors.New("the operator has a defect; its log has the details")

// contained runs deliver and turns panics into errors, so that the status reports them.
func (r *Reconciler) contained(ctx context.Context, l *v1alpha1.SFTPListener, m *memory) (out result, wait time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			// The value and the stack must not be in a status: they may quote anything.
			ctrl.LoggerFrom(ctx).Error(errPanic, "Panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			out = result{Access: exchange.Access{Err: errPanic}}
		}
	}()
	return r.deliver(ctx, l, m)
}

// describe adds what was delivered to a span.
func describe(span trace.Span, l *v1alpha1.SFTPListener, out result) {
	span.SetAttributes(
		attribute.Int64("k8s.resource.generation", l.Generation),
		attribute.Bool("sftp.configuration.written", out.Delivered.Wrote),
	)
	if v := out.Delivered.Version; v != nil {
		span.SetAttributes(attribute.String("sftp.configuration.digest", v.Digest))
	}
}

// deliver compiles and writes the configuration, and returns when to reconcile again without being woken.
func (r *Reconciler) deliver(ctx context.Context, l *v1alpha1.SFTPListener, m *memory) (result, time.Duration) {
	now := r.Now()
	if rest := m.pace.Rest(now); rest > 0 {
		return result{waits: true}, rest
	}
	decision := r.Platform.Policy().Decide(l, now)
	l = decision.Listener
	policy := render.PolicyAt(l, now)
	if m.recalled == nil {
		if err := r.recallOnce(ctx, l, m, policy); err != nil {
			return result{Access: exchange.Access{Err: err}}, 0
		}
	}
	kept := r.kept(l, m)
	l = attach.WithHome(l, kept.Home)
	in, refs := r.gather(l, m, policy, now)
	in.Holders, in.Places = kept.Holders, kept.Places
	keys := r.hostKeys(l, m)
	in.HostKeys, in.ReceiptKey = keys.Private, r.receiptKey(l, m)
	_, span := spans.Step(ctx, r.Tracer, "compile")
	out := compile.Compile(in, &m.compiled)
	spans.Finish(span, nil)
	r.Entries.Retain(client.ObjectKeyFromObject(l), refs)
	m.users = out.Users
	m.last = out
	m.last.Users = nil // m.users has them
	var next due.Earliest
	next.At(out.NextChange)
	next.At(decision.Next)
	res := result{Access: exchange.Access{
		Generation: l.Generation,
		Users:      m.users, Problems: problems(out.Problems), Unreadable: m.trust.unreadable, Recalled: m.recalled.hostKeys,
		Delivered: delivery.Result{Version: m.writes.Version()},
	}}
	if out.Blocked != nil {
		res.Blocked = &conditions.Problem{Reason: out.Blocked.Reason, Message: out.Blocked.Message}
		return res, next.Wait(now)
	}
	if at := m.pace.Wait(now, out, keys.Signature, &m.writes); !at.IsZero() {
		looked := r.Now()
		m.pace.Checked(looked, looked.Sub(now))
		next.At(at)
		res.waits = true
		return res, next.Wait(looked)
	}
	ctx, cancel := context.WithTimeout(ctx, firstDeadline<<min(m.failures, doublings))
	defer cancel()
	ctx, span = spans.Step(ctx, r.Tracer, "write configuration")
	res.Delivered = r.Writer.Write(ctx, l, out, keys.Signature, &m.writes)
	spans.Finish(span, res.Delivered.Err)
	if res.Delivered.Wrote {
		ended := r.Now()
		m.pace.Wrote(ended, ended.Sub(now))
	}
	m.lines.Set(out.Files.Shards)
	r.announce(l, m, res.Delivered, keys)
	if res.Delivered.Foreign {
		next.In(now, lookAgain)
	}
	next.In(now, m.retryRefused(now, len(res.Delivered.Refusals) > 0, out.Files.Digest))
	return res, next.Wait(now)
}

// firstRetry is how long after a first refusal to try again. A removal must not wait for the half minute that a quota or a policy
// deserves: an admission webhook that has just restarted, or a Role that is being replaced, refuses once.
const firstRetry = 200 * time.Millisecond

// retryRefused returns how long to wait after a delivery, 0 if nothing was refused: as long as it has been refused already, so that
// the time doubles with each try, up to apply.RetryRefused. It starts again with each change to what is wanted: something else may have
// been refused for hours, and a removal must not wait for that.
func (m *memory) retryRefused(now time.Time, refused bool, wanted string) time.Duration {
	if !refused {
		m.refused = time.Time{}
		return 0
	}
	if m.refused.IsZero() || m.wanted != wanted || now.Before(m.refused) { // the clock was set back
		m.refused, m.wanted = now, wanted
	}
	return min(max(now.Sub(m.refused), firstRetry), apply.RetryRefused)
}

// recallOnce loads the contents of the listener's own Secrets into a memory that has not recalled them yet.
func (r *Reconciler) recallOnce(ctx context.Context, l *v1alpha1.SFTPListener, m *memory, policy render.Policy) error {
	ctx, span := spans.Step(ctx, r.Tracer, "recall")
	ctx, cancel := context.WithTimeout(ctx, recallDeadline)
	old, err := r.recall(ctx, l, policy)
	cancel()
	if spans.Finish(span, err); err != nil {
		return err
	}
	// Without the users' data, which takes memory.
	m.recalled = &recalled{hostKeys: old.hostKeys, receiptKey: old.receiptKey, kept: old.kept, trust: old.trust, settings: old.settings}
	m.last.Seats, m.last.Slots = old.Seats, old.Slots
	m.lines.Set(old.shards)
	r.seed(l, old)
	return nil
}

// announce announces a version once, and again after a part of it was repaired.
func (r *Reconciler) announce(l *v1alpha1.SFTPListener, m *memory, d delivery.Result, keys exchange.HostKeys) {
	v := d.Version
	if v == nil || m.announced == v && !d.Wrote {
		return
	}
	m.announced, m.proofs = v, statusKeys(m.proofs, keys.Private)
	r.Announcer.announce(l, announcement{version: v, target: target(l, v, m.proofs, m.users, keys.Fingerprints, d.Wrote), wrote: d.Wrote})
}

// pause stops contact with the pods of a listener. Their reports are kept.
func (r *Reconciler) pause(l *v1alpha1.SFTPListener) {
	m := r.memory(client.ObjectKeyFromObject(l), l.UID)
	t := poll.Target{UID: l.UID, Keys: m.proofs, Paused: true}
	if m.announced != nil {
		t = target(l, m.announced, m.proofs, m.users, nil, false)
		t.Paused = true
	}
	m.announced = nil // it is announced again once the listener is no longer paused
	r.Announcer.Poller.SetTarget(client.ObjectKeyFromObject(l), t)
}

// problems returns what is wrong with the listener itself. An ended crypto policy is not a problem but a warning.
func problems(found []credentials.Problem) (out []conditions.Problem) {
	for _, p := range found {
		if p.Reason != v1alpha1.ReasonCryptoPolicyExpired {
			out = append(out, conditions.Problem{Reason: p.Reason, Message: p.Message})
		}
	}
	return out
}

// hostKeys returns the keys that pods should have: those that the listener controller has decided on, or until then those
// that they have.
func (r *Reconciler) hostKeys(l *v1alpha1.SFTPListener, m *memory) exchange.HostKeys {
	if k := r.Store.Of(client.ObjectKeyFromObject(l), l.UID).HostKeys.Load(); k != nil {
		return *k
	}
	old := m.recalled.hostKeys
	return exchange.HostKeys{Private: old.Private, Signature: old.Signature(), Fingerprints: old.Fingerprints()}
}

// receiptKey returns the key that signs receipts: the one that the listener controller has stored, or until then the one that the
// pods have. Without one, no receipts are issued, and nothing waits for it.
func (r *Reconciler) receiptKey(l *v1alpha1.SFTPListener, m *memory) []byte {
	if l.Spec.Uploads.Receipts == nil {
		return nil
	}
	if k := r.Store.Of(client.ObjectKeyFromObject(l), l.UID).ReceiptKey.Load(); k != nil {
		return k.Private
	}
	return m.recalled.receiptKey
}

// kept returns the content of the listener's record: as passed by the listener controller, or until then as it was read.
func (r *Reconciler) kept(l *v1alpha1.SFTPListener, m *memory) exchange.Record {
	if k := r.Store.Of(client.ObjectKeyFromObject(l), l.UID).Record.Load(); k != nil {
		return *k
	}
	return m.recalled.kept
}

// publish hands a result to the listener controller if it differs from the last one.
func (r *Reconciler) publish(l *v1alpha1.SFTPListener, out result) {
	name := client.ObjectKeyFromObject(l)
	cell := &r.Store.Of(name, l.UID).Access
	if old := cell.Load(); old != nil {
		if out.Err != nil { // pods still have the earlier result
			previous := *old
			previous.Err = out.Err
			out.Access = previous
		}
		if same(*old, out.Access) {
			return
		}
	}
	cell.Store(&out.Access)
	r.Delivered.Wake(name)
}

// same reports whether two results mean the same to the listener controller.
func same(a, b exchange.Access) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	problem := func(p *conditions.Problem) conditions.Problem {
		if p == nil {
			return conditions.Problem{}
		}
		return *p
	}
	return a.Generation == b.Generation && slices.Equal(a.Users, b.Users) && problem(a.Blocked) == problem(b.Blocked) &&
		a.Delivered.Version == b.Delivered.Version &&
		slices.Equal(a.Delivered.Refusals, b.Delivered.Refusals) && text(a.Delivered.Err) == text(b.Delivered.Err) && text(a.Err) == text(b.Err) &&
		slices.Equal(a.Problems, b.Problems) && slices.Equal(a.Unreadable, b.Unreadable)
}

func (r *Reconciler) memory(name types.NamespacedName, uid types.UID) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memories == nil {
		r.memories = map[types.NamespacedName]*memory{}
	}
	m := r.memories[name]
	if m == nil || m.uid != uid {
		m = &memory{uid: uid}
		r.memories[name] = m
	}
	return m
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.memories, name)
	r.mu.Unlock()
	r.Entries.Retain(name, nil)
}
