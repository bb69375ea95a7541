package listener

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/due"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/status"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/receiptkey"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/spans"
)

// findings are the results of one reconcile's steps; each step fills its own, once. nil stands for a step that ended with an
// error.
type findings struct {
	// listener includes the platform's defaults, and written is as its owner wrote it.
	listener, written *v1alpha1.SFTPListener
	platform          platform.Decision

	access *exchange.Access
	memory *memory
	now    time.Time
	// maxRollouts is how many listeners an upgrade of the operator rolls out at a time.
	maxRollouts int
	next        due.Earliest

	kept kept
	// relay is the relay that the listener should have, relayPlan how it was planned, and relayAnswer what it said.
	relay       workload.Relay
	relayPlan   *relay.Plan
	relayAnswer watch.Answer
	hostKeys    *hostkeys.Result
	// receiptKeys sign receipts, or have signed some; receiptRefusal is why there is no key.
	receiptKeys    []v1alpha1.ReceiptKeyStatus
	receiptRefusal *workload.Refusal
	volumes        volumes.Result
	workload       workload.Result
	acks           *ack.Result
	users          *outcome.Result

	recordErr, hostKeysErr, receiptErr, usersErr, relayErr error
}

// err returns the error to be retried.
func (f *findings) err() error {
	return errors.Join(f.recordErr, f.hostKeysErr, f.receiptErr, f.volumes.Err, f.workload.Err, f.usersErr, f.relayErr)
}

// stepDeadline bounds one step. A step asks for several objects, each with a deadline of its own.
const stepDeadline = 20 * time.Second

// run runs the steps. An error in one does not prevent the others: what a step needs from another one is then unchanged.
func (r *Reconciler) run(ctx context.Context, f *findings) {
	f.memory.history.Note(f.access.Delivered.Version)
	if t := f.listener.Spec.CryptoPolicyExpirationTime; t != nil && f.now.Before(t.Time) {
		f.next.At(t.Time)
	}
	if acks, ok := r.Poller.Result(client.ObjectKeyFromObject(f.listener)); ok {
		f.acks = &acks
	}
	f.recordErr = r.step(ctx, "read record", func(ctx context.Context) error { return r.readRecord(ctx, f) })
	f.hostKeysErr = r.step(ctx, "resolve host keys", func(ctx context.Context) error { return r.resolveHostKeys(ctx, f) })
	f.receiptErr = r.step(ctx, "keep receipt key", func(ctx context.Context) error { return r.keepReceiptKey(ctx, f) })
	if err := r.step(ctx, "plan relay", func(ctx context.Context) error { return r.planRelay(ctx, f) }); err != nil {
		f.relayErr = errors.Join(f.relayErr, err)
	}
	if err := r.step(ctx, "apply objects", func(ctx context.Context) error { return r.applyObjects(ctx, f) }); err != nil {
		f.workload.Err = errors.Join(f.workload.Err, err)
	}
	if f.recordErr == nil {
		f.recordErr = r.step(ctx, "keep record", func(ctx context.Context) error { return r.keepRecord(ctx, f) })
	}
	if f.recordErr != nil && !apierrors.IsConflict(f.recordErr) && !apierrors.IsAlreadyExists(f.recordErr) {
		f.workload.Err = errors.Join(f.workload.Err, f.recordErr)
	}
	f.usersErr = r.step(ctx, "look at users", func(ctx context.Context) error { return r.lookAtUsers(ctx, f) })
}

// step runs one step in a span, with a deadline. A panic is the step's error: it must not end the others.
func (r *Reconciler) step(ctx context.Context, name string, run func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	ctx, span := spans.Step(ctx, r.Tracer, name)
	defer func() { spans.Finish(span, err) }()
	defer func() {
		if p := recover(); p != nil {
			ctrl.LoggerFrom(ctx).Error(fmt.Errorf("panic: %v", p), "A step of the reconcile failed", "step", name, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: internal error", name)
		}
	}()
	return run(ctx)
}

// resolveHostKeys takes the next step of a rotation. A change is written to the status before it reaches the pods, so that an
// operator that restarts in between continues from there. Pods keep what they have until then; users can still be added and
// removed.
func (r *Reconciler) resolveHostKeys(ctx context.Context, f *findings) error {
	if f.recordErr != nil && len(f.listener.Status.HostKeys) == 0 {
		return f.recordErr // a recreated listener must not begin with keys other than those that clients know
	}
	loaded := f.loaded()
	res, err := r.HostKeys.Resolve(ctx, hostkeys.Input{
		Listener: f.listener, Policy: render.PolicyAt(f.listener, f.now), Now: f.now, Acknowledged: loaded.HostKeys,
		Earlier: f.kept.earlierKeys(),
	}, f.memory.hostKeys)
	if err != nil {
		return err
	}
	f.next.At(res.Next)
	if len(res.Changes) > 0 || res.Restored {
		if err := r.writeHostKeys(ctx, f.listener, res); err != nil {
			return err
		}
	}
	f.hostKeys = &res
	if res.Private == nil {
		return nil
	}
	cell := &r.Store.Of(client.ObjectKeyFromObject(f.listener), f.listener.UID).HostKeys
	next := &exchange.HostKeys{Private: res.Private, Signature: res.Signature, Fingerprints: res.Fingerprints}
	if old := cell.Load(); old == nil || !reflect.DeepEqual(old, next) {
		cell.Store(next)
		r.Access.Wake(client.ObjectKeyFromObject(f.listener))
	}
	return nil
}

// writeHostKeys writes the states of host keys, and announces what has changed.
func (r *Reconciler) writeHostKeys(ctx context.Context, l *v1alpha1.SFTPListener, res hostkeys.Result) error {
	before := l.DeepCopy()
	l.Status.HostKeys = res.Status
	l.Status.KnownHosts, l.Status.SSHFP = render.KnownHosts(l.Status.Addresses, res.Status), render.SSHFP(res.Status)
	if err := r.Client.Status().Patch(ctx, l, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write the states of host keys: %w", err)
	}
	r.written.Note(l)
	r.announceHostKeys(l, res.Changes)
	return nil
}

// applyObjects applies the objects around the pods, as far as the volumes allow. A refused object does not prevent the others
// from being applied.
func (r *Reconciler) applyObjects(ctx context.Context, f *findings) error {
	f.volumes = volumes.Resolve(ctx, r.Client, f.listener)
	f.workload = r.Workload.Apply(ctx, workload.Input{
		Listener: f.listener, Written: f.written, Refusal: f.platform.Refusal(),
		Image: r.Image, OperatorNamespace: r.OperatorNamespace, Volumes: f.volumes, HostKeys: f.currentHostKeys(),
		Relay: f.relay, AllowedSigners: receiptkey.AllowedSigners(f.listener, f.currentReceiptKeys()),
	})
	if f.receiptRefusal != nil {
		f.workload.Refusals = append(f.workload.Refusals, *f.receiptRefusal)
	}
	r.watchRelay(f)
	f.next.In(f.now, f.workload.Retry)
	return nil
}

// lookAtUsers determines the state of each user: whether the pods have its record, and the states of its keys.
func (r *Reconciler) lookAtUsers(ctx context.Context, f *findings) error {
	unmounted, err := r.unmounted(ctx, f)
	if err != nil {
		return err
	}
	name := client.ObjectKeyFromObject(f.listener)
	m := f.memory
	if f.waits() {
		f.users = m.found
		return nil
	}
	r.noteAcknowledged(f)
	used := r.learnKeyUse(f)
	in := outcome.Input{
		Listener: f.listener, Generation: f.access.Generation, Users: f.access.Users,
		Uses: &m.uses, Used: used, HostKeys: f.currentHostKeys(), Loaded: f.loaded(),
		Settling: f.settling(), Unknown: f.unknown(), Now: f.now, Unmounted: unmounted, Away: f.away(),
		Latest: r.Users.Latest(name),
	}
	if f.acks != nil {
		in.Rejected = f.acks.Rejected
	}
	in.Pending, in.RolledOut = f.statusInput().Explain()
	res := outcome.Users(in, &m.users)
	f.users = &res
	m.found = &outcome.Result{
		Attached: res.Attached, Ready: res.Ready, NotReady: res.NotReady, Reasons: res.Reasons, Held: res.Held, Proved: res.Proved,
	}
	forgetUses(f)
	f.next.At(res.Next)
	if f.acks != nil {
		for _, since := range f.acks.Late {
			if at := since.Add(status.LateAfter); f.now.Before(at) {
				f.next.At(at)
			}
		}
	}
	r.Outcomes.Publish(name, res.Changed, res.Gone)
	r.announceLockedOut(f.listener, res.LockedOut)
	return nil
}
