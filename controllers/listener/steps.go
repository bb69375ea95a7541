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
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/due"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// findings are the results of one reconcile's steps; each step fills its own, once. nil stands for a step that ended with an
// error.
type findings struct {
	listener *v1alpha1.SFTPListener
	access   *exchange.Access
	memory   *memory
	now      time.Time
	next     due.Earliest

	hostKeys *hostkeys.Result
	volumes  *volumes.Result
	workload *workload.Result
	acks     *ack.Result
	users    *outcome.Result

	// knownHosts is why the ConfigMap with known_hosts was refused, nil if it was not.
	knownHosts *conditions.Problem

	hostKeysErr, volumesErr, workloadErr, knownHostsErr, usersErr error
}

// err returns what is to be tried again.
func (f *findings) err() error {
	return errors.Join(f.hostKeysErr, f.volumesErr, f.workloadErr, f.knownHostsErr, f.usersErr)
}

// stepDeadline bounds one step. A step asks for several objects, each with a deadline of its own.
const stepDeadline = 20 * time.Second

// run runs the steps. None is kept from running by another one's error: what a step needs of another one it finds as it was.
func (r *Reconciler) run(ctx context.Context, f *findings) {
	f.hostKeysErr = r.step(ctx, "resolve host keys", func(ctx context.Context) error { return r.resolveHostKeys(ctx, f) })
	f.volumesErr = r.step(ctx, "resolve volumes", func(ctx context.Context) error { return r.resolveVolumes(ctx, f) })
	f.workloadErr = r.step(ctx, "apply objects", func(ctx context.Context) error { return r.applyObjects(ctx, f) })
	f.knownHostsErr = r.step(ctx, "publish known hosts", func(ctx context.Context) error { return r.publishKnownHosts(ctx, f) })
	f.usersErr = r.step(ctx, "look at users", func(context.Context) error { return r.lookAtUsers(f) })
}

// step runs one step in a span, with a deadline. A panic is the step's error: it must not end the others.
func (r *Reconciler) step(ctx context.Context, name string, run func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	ctx, span := r.startStep(ctx, name)
	defer func() { finish(span, err) }()
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
	loaded := f.memory.history.Loaded(r.digests(f))
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
	next := &exchange.HostKeys{Private: res.Private, Signature: res.Signature}
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

func (r *Reconciler) resolveVolumes(ctx context.Context, f *findings) error {
	res, err := r.Volumes.Resolve(ctx, f.listener)
	if err != nil {
		return err
	}
	f.volumes = &res
	return nil
}

// applyObjects applies what is around the pods. Pods are created once there is a configuration for them.
func (r *Reconciler) applyObjects(ctx context.Context, f *findings) error {
	in := workload.Input{Listener: f.listener, Volumes: f.volumes, Configured: f.access.Delivered.Version != nil, Now: f.now}
	res, err := r.Workload.Apply(ctx, in, &f.memory.workload)
	f.workload = &res
	f.next.In(f.now, res.Retry)
	return err
}

// knownHostsInterval is the time between two looks at a ConfigMap that should not have changed. The operator has no right to
// watch ConfigMaps, which usually are not its own.
const knownHostsInterval = 10 * time.Minute

// publishKnownHosts writes the ConfigMap with known_hosts.
func (r *Reconciler) publishKnownHosts(ctx context.Context, f *findings) error {
	addresses := f.listener.Status.Addresses
	if f.workload != nil && f.workload.Service != nil {
		addresses = render.Addresses(f.listener, f.workload.Service)
	}
	lines := render.KnownHosts(addresses, f.currentHostKeys())
	if len(lines) == 0 {
		return nil
	}
	next, err := r.Applier.For(f.listener).ApplyUnwatched(ctx, render.KnownHostsMap(f.listener, lines), knownHostsInterval)
	if p, ok := apply.Problem(err); ok {
		f.knownHosts = &p
		f.next.In(f.now, apply.RetryRefused)
		return nil
	}
	f.next.At(next)
	return err
}

// lookAtUsers finds out what is known of each user: whether the pods have its record, and the states of its keys.
func (r *Reconciler) lookAtUsers(f *findings) error {
	name := client.ObjectKeyFromObject(f.listener)
	m := f.memory
	m.history.Note(f.access.Delivered.Version)
	if acks, ok := r.Poller.Result(name, f.listener.UID); ok {
		f.acks = &acks
	}
	r.noteAcknowledged(f)
	used := r.learnKeyUse(f)
	in := outcome.Input{
		Listener: f.listener, Users: f.access.Users, Latest: func(u types.NamespacedName) *v1alpha1.SFTPUser { return r.Users.Get(name, u) },
		Uses: &m.uses, Used: used, HostKeys: f.currentHostKeys(), Loaded: m.history.Loaded(r.digests(f)),
		Settling: f.settling(), Now: f.now, Unmounted: r.unmounted(f),
	}
	if f.acks != nil {
		in.Rejected = f.acks.Rejected
	}
	in.Pending, in.RolledOut = f.statusInput().Explain()
	res := outcome.Users(in, &m.users)
	f.users = &res
	f.next.At(res.Next)
	r.Board.Publish(name, res.Changed, res.Gone)
	return nil
}
