package listener

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/listener/status"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// report writes the status, and then the events and metrics that follow from it.
func (r *Reconciler) report(ctx context.Context, f *findings) error {
	r.warnOfRestart(f)
	st := status.Build(f.statusInput())
	if f.users != nil && f.users.Held > 0 || f.settling() {
		f.next.At(f.settledAt())
	}
	f.next.At(conditions.Deadline(st.Conditions, status.Slack(f.listener)))
	if err := r.step(ctx, "write status", func(ctx context.Context) error { return r.writeStatus(ctx, f.listener, st) }); err != nil {
		return err
	}
	r.Metrics.show(f, st)
	return nil
}

// warnOfRestart announces an interruption of the endpoint: if only one node can mount a volume, the new pod cannot start
// before the old one has ended.
func (r *Reconciler) warnOfRestart(f *findings) {
	w := f.workload.Rollout
	which := strings.Join(w.Changes, ", ")
	if !w.RestartsOnlyPod || f.memory.restart == which {
		return
	}
	f.memory.restart = which // what is retried is announced once
	r.Events.Eventf(f.listener, nil, corev1.EventTypeWarning, v1alpha1.ReasonPodRestart, "Rollout",
		"A change to %s restarts the only pod: its transfers may continue for %d seconds, and clients cannot log in until the new pod is ready. ReadWriteMany claims avoid that",
		which, render.DrainTimeoutSeconds(f.listener))
}

// statusInput returns what the status is computed from.
func (f *findings) statusInput() status.Input {
	return status.Input{
		Listener: f.listener, Platform: f.platform, Policy: render.PolicyAt(f.listener, f.now), Now: f.now,
		HostKeys: f.hostKeys, Access: f.access, Volumes: f.volumes, Workload: f.workload, Acks: f.acks, Users: f.users, Settling: f.settling(),
		Recount: f.recount(), MaxRollouts: f.maxRollouts, Homes: f.kept.homes,
		ReceiptKeys: f.currentReceiptKeys(),
		Relay:       status.Relay{Plan: f.relayPlan, Answer: f.relayAnswer},
		HostKeysErr: f.hostKeysErr, UsersErr: f.usersErr,
	}
}

// writeStatus writes the status if anything in it has changed, and the events of the change.
func (r *Reconciler) writeStatus(ctx context.Context, l *v1alpha1.SFTPListener, st v1alpha1.SFTPListenerStatus) error {
	if equality.Semantic.DeepEqual(l.Status, st) {
		return nil
	}
	before := l.Status.DeepCopy()
	target := l.DeepCopy()
	target.Status = st
	patch, err := statusPatch(target)
	if err != nil {
		return err
	}
	if err := r.Client.Status().Patch(ctx, target, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.written.Note(target)
	for _, e := range status.Events(*before, st) {
		r.Events.Eventf(target, nil, e.Type, e.Reason, e.Action, "%s", e.Message)
	}
	return nil
}

// statusPatch writes the status of this listener only, not of one that was recreated under its name: JSON Patch (RFC 6902)
// can test what it changes.
func statusPatch(l *v1alpha1.SFTPListener) (client.Patch, error) {
	data, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": l.UID},
		{"op": "add", "path": "/status", "value": l.Status},
	})
	return client.RawPatch(types.JSONPatchType, data), err
}

// pause writes the status of a paused listener.
func (r *Reconciler) pause(ctx context.Context, l *v1alpha1.SFTPListener) error {
	st := status.Paused(l, r.Now())
	if err := r.writeStatus(ctx, l, st); err != nil {
		return err
	}
	r.Metrics.pause(client.ObjectKeyFromObject(l), st)
	return nil
}

// announceLockedOut warns that a change to the listener locks users out. It does not name them, because the owner of the
// listener may not read objects in other namespaces.
func (r *Reconciler) announceLockedOut(l *v1alpha1.SFTPListener, reasons map[string]int) {
	if len(reasons) == 0 {
		return
	}
	n, which := 0, make([]string, 0, len(reasons))
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		n += reasons[reason]
		which = append(which, fmt.Sprintf("%s %d", reason, reasons[reason]))
	}
	r.Events.Eventf(l, nil, corev1.EventTypeWarning, v1alpha1.ReasonUsersLockedOut, "Reconcile",
		"Since generation %d of the spec, %d users can no longer log in (%s)", l.Generation, n, strings.Join(which, ", "))
}

// hostKeyRemoved is the state in events and metrics of a key that the listener no longer has.
const hostKeyRemoved v1alpha1.HostKeyState = "Removed"

// announceHostKeys writes an event for each change of a host key's state.
func (r *Reconciler) announceHostKeys(l *v1alpha1.SFTPListener, changes []hostkey.Change) {
	for _, c := range changes {
		what := fmt.Sprintf("Host key %s %s of SFTPKey %q", c.Type, c.Fingerprint, c.Name)
		if c.Revision > 0 {
			what += fmt.Sprintf(", revision %d,", c.Revision)
		}
		state := c.To
		switch {
		case c.To == "":
			state, what = hostKeyRemoved, what+" is gone"
		case c.From == "":
			what += " is " + string(c.To)
		default:
			what += fmt.Sprintf(" is %s and was %s", c.To, c.From)
		}
		r.Metrics.hostKeyChanged(client.ObjectKeyFromObject(l), state)
		kind := corev1.EventTypeNormal
		if c.Forced {
			kind = corev1.EventTypeWarning
			what += "; it was not announced, because overlapSeconds is 0: clients that do not know the new key refuse to connect or ask"
		}
		r.Events.Eventf(l, nil, kind, "HostKey"+string(state), "RotateHostKeys", "%s", what)
	}
}
