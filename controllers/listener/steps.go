package listener

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"k8s.io/apimachinery/pkg/types"
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
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/spans"
)

// findings are the results of one reconcile's steps; each step fills its own, once. nil stands for a step that ended with an
// error.
type findings struct {
	listener *v1alpha1.SFTPListener
	access   *exchange.Access
	memory   *memory
	now      time.Time
	// maxRollouts is how many listeners an upgrade of the operator rolls out at a time.
	maxRollouts int
	next        due.Earliest

	hostKeys *hostkeys.Result
	volumes  volumes.Result
	workload workload.Result
	acks     *ack.Result
	users    *outcome.Result

	hostKeysErr, usersErr error
}

// err returns what is to be tried again.
func (f *findings) err() error {
	return errors.Join(f.hostKeysErr, f.volumes.Err, f.workload.Err, f.usersErr)
}

// stepDeadline bounds one step. A step asks for several objects, each with a deadline of its own.
const stepDeadline = 20 * time.Second

// run runs the steps. None is kept from running by another one's error: what a step needs of another one it finds as it was.
func (r *Reconciler) run(ctx context.Context, f *findings) {
	f.memory.history.Note(f.access.Delivered.Version)
	if t := f.listener.Spec.CryptoPolicyExpirationTime; t != nil && f.now.Before(t.Time) {
		f.next.At(t.Time)
	}
	if acks, ok := r.Poller.Result(client.ObjectKeyFromObject(f.listener)); ok {
		f.acks = &acks
	}
	f.hostKeysErr = r.step(ctx, "resolve host keys", func(ctx context.Context) error { return r.resolveHostKeys(ctx, f) })
	if err := r.step(ctx, "apply objects", func(ctx context.Context) error { return r.applyObjects(ctx, f) }); err != nil {
		f.workload.Err = errors.Join(f.workload.Err, err)
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

// resolveHostKeys takes the next step of a rotation. A change is in the status before it is in the pods: an operator that ends
// in between continues from there. Pods keep what they have until then, and users come and go meanwhile.
func (r *Reconciler) resolveHostKeys(ctx context.Context, f *findings) error {
	loaded := f.loaded()
	res, err := r.HostKeys.Resolve(ctx, hostkeys.Input{
		Listener: f.listener, Policy: render.PolicyAt(f.listener, f.now), Now: f.now, Acknowledged: loaded.HostKeys,
	}, f.memory.hostKeys)
	if err != nil {
		return err
	}
	f.next.At(res.Next)
	if len(res.Changes) > 0 {
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

// applyObjects applies what is around the pods, as far as the volumes allow. Nothing that is refused keeps anything else from
// being applied.
func (r *Reconciler) applyObjects(ctx context.Context, f *findings) error {
	f.volumes = volumes.Resolve(ctx, r.Client, f.listener)
	f.workload = r.Workload.Apply(ctx, workload.Input{
		Listener: f.listener, Image: r.Image, OperatorNamespace: r.OperatorNamespace, Volumes: f.volumes, HostKeys: f.currentHostKeys(),
	})
	f.next.In(f.now, f.workload.Retry)
	return nil
}

// lookAtUsers finds out what is known of each user: whether the pods have its record, and the states of its keys.
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
		Listener: f.listener, Users: f.access.Users, Latest: func(u types.NamespacedName) *v1alpha1.SFTPUser { return r.Users.Get(name, u) },
		Uses: &m.uses, Used: used, HostKeys: f.currentHostKeys(), Loaded: f.loaded(),
		Settling: f.settling(), Unknown: f.unknown(), Now: f.now, Unmounted: unmounted,
	}
	if f.acks != nil {
		in.Rejected = f.acks.Rejected
	}
	in.Pending, in.RolledOut = f.statusInput().Explain()
	res := outcome.Users(in, &m.users)
	f.users = &res
	m.found = &outcome.Result{Attached: res.Attached, Ready: res.Ready, NotReady: res.NotReady, Held: res.Held, Proved: res.Proved}
	forgetUses(f)
	f.next.At(res.Next)
	if f.acks != nil {
		for _, since := range f.acks.Late {
			if at := since.Add(status.LateAfter); f.now.Before(at) {
				f.next.At(at)
			}
		}
	}
	r.Board.Publish(name, res.Changed, res.Gone)
	return nil
}
