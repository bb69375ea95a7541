package listener

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/pods"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// settleTime is how long the status waits for pods that have not loaded what was delivered. Usually they need 200 to 400 ms;
// anything slower is shown.
const settleTime = 2 * time.Second

// settling reports whether pods have had no time yet to load what was delivered.
func (f *findings) settling() bool {
	v := f.access.Delivered.Version
	return v != nil && (f.acks == nil || f.acks.Ready > 0) && !f.acknowledged() && f.now.Before(f.settledAt())
}

// waits reports whether to process the users later: once the pods have loaded what was just delivered, or have had time for
// it, there is news again, and each pass takes time for each user. It does not wait longer than twice that time if
// configurations keep being delivered.
func (f *findings) waits() bool {
	m := f.memory
	if m.found == nil || !f.settling() {
		m.waiting = time.Time{}
		return false
	}
	if m.waiting.IsZero() || m.waiting.After(f.now) { // the clock was set back
		m.waiting = f.now
	}
	if f.now.Sub(m.waiting) < settleTime {
		return true
	}
	m.waiting = time.Time{}
	return false
}

// unknown reports whether the operator has just started and cannot know yet what the pods of a configured listener have.
func (f *findings) unknown() bool {
	return f.listener.Status.ConfigDigest != "" && !f.memory.history.Known() && (f.access.Delivered.Version == nil || f.acks == nil)
}

func (f *findings) settledAt() time.Time {
	if v := f.access.Delivered.Version; v != nil {
		return v.At.Add(settleTime)
	}
	return time.Time{}
}

// acknowledged reports whether every ready pod, and at least one, has loaded what was delivered.
func (f *findings) acknowledged() bool {
	v := f.access.Delivered.Version
	return v != nil && f.acks != nil && f.acks.Digest == v.Digest && f.acks.Done()
}

// awayTime is how long users stay ready while no pod is: the only pod is often back within that time, and each change is a
// write for each user.
const awayTime = 5 * time.Second

// away returns why no pod serves the listener's users, as a reason of their Ready, empty while one does. Details about pods in
// the listener's own status are not for users of other namespaces.
func (f *findings) away() conditions.Problem {
	m := f.memory
	if f.access.Delivered.Version == nil || f.acks == nil || f.acks.Ready > 0 {
		m.away = time.Time{}
		return conditions.Problem{}
	}
	if m.away.IsZero() || m.away.After(f.now) { // the clock was set back
		m.away = f.now
	}
	if at := m.away.Add(awayTime); f.now.Before(at) {
		f.next.At(at)
		return conditions.Problem{}
	}
	if volumes.Replicas(f.listener) == 0 {
		return conditions.Problem{Reason: v1alpha1.ReasonScaledToZero, Message: "The listener has no pods, because its spec.replicas is 0"}
	}
	return conditions.Problem{Reason: v1alpha1.ReasonPodsUnavailable, Message: "No pod of the listener is ready, so none of its users can log in; the listener's condition Ready says why"}
}

// noteAcknowledged remembers what every ready pod has loaded, and measures how long it took.
func (r *Reconciler) noteAcknowledged(f *findings) {
	v, m := f.access.Delivered.Version, f.memory
	if v == nil {
		return
	}
	switch {
	case f.acknowledged():
		m.history.Acknowledge(v)
		if a := f.acks; m.observed != v.Digest && !a.Began.IsZero() && !a.Completed.IsZero() {
			r.Metrics.acknowledged(a.Completed.Sub(a.Began))
		}
		m.observed = v.Digest
	case !m.history.Known() && f.listener.Status.ConfigDigest == v.Digest:
		m.history.Acknowledge(v) // an earlier operator saw the same configuration acknowledged
	}
}

// loaded returns what the ready pods have.
func (f *findings) loaded() delivery.Loaded {
	switch {
	case f.acks != nil:
		return f.memory.history.Loaded(f.acks.Loaded, true)
	case f.neverConfigured():
		return f.memory.history.Loaded(nil, true)
	}
	return f.memory.history.Loaded(nil, false)
}

// neverConfigured reports whether there has never been a configuration that a pod could have loaded, which no pod could run
// without.
func (f *findings) neverConfigured() bool {
	d := f.access.Delivered
	return f.listener.Status.ConfigDigest == "" && d.Version == nil && d.Err == nil && !f.memory.history.Known()
}

// sessionCountAge is how old the number of sessions in the status may become: they change all the time, and each update is a
// write.
const sessionCountAge = 5 * time.Minute

// recount reports whether to write the number of sessions that a rollout would disturb again.
func (f *findings) recount() bool {
	if f.now.Sub(f.memory.counted).Abs() < sessionCountAge {
		return false
	}
	f.memory.counted = f.now
	return true
}

// currentHostKeys returns the host keys as decided by this reconcile, otherwise from the status.
func (f *findings) currentHostKeys() []v1alpha1.HostKeyStatus {
	if f.hostKeys != nil && f.hostKeys.Keys != nil {
		return f.hostKeys.Status
	}
	return f.listener.Status.HostKeys
}

// learnKeyUse merges pods' reports on the use of keys and on refused logins, and returns the users with news.
func (r *Reconciler) learnKeyUse(f *findings) map[types.UID]bool {
	name, uid := client.ObjectKeyFromObject(f.listener), f.listener.UID
	reports := r.Poller.Reports(name, uid)
	if len(reports) == 0 && !f.memory.uses.Waiting() {
		return nil
	}
	users := byUID(f.access.Users)
	status := r.refusalInStatus(name, users)
	m := f.memory
	for _, report := range reports {
		m.uses.NoteRefusals(report.Instance, report.Refusals, status, f.now)
	}
	used, next := m.uses.Release(status, f.now)
	f.next.At(next)
	if len(reports) > 0 {
		maps.Copy(used, r.mergeUses(f, users, reports))
	}
	return used
}

// refusalInStatus returns a function that returns the refusal in the latest status of a user, and whether there is such a user.
func (r *Reconciler) refusalInStatus(
	listener types.NamespacedName, users map[types.UID]*compile.User,
) func(types.UID) (*v1alpha1.LoginRefusal, bool) {
	return func(uid types.UID) (*v1alpha1.LoginRefusal, bool) {
		u, ok := users[uid]
		if !ok {
			return nil, false
		}
		if latest := r.Users.Get(listener, client.ObjectKeyFromObject(u.User)); latest != nil && latest.UID == uid {
			return latest.Status.LastRefusal, true
		}
		return u.User.Status.LastRefusal, true
	}
}

// mergeUses merges the use of keys and proofs of host keys, and returns the users with news.
func (r *Reconciler) mergeUses(f *findings, users map[types.UID]*compile.User, reports []poll.Report) map[types.UID]bool {
	name, uid := client.ObjectKeyFromObject(f.listener), f.listener.UID
	var hostKeys []string
	for _, k := range f.currentHostKeys() {
		hostKeys = append(hostKeys, k.Fingerprint)
	}
	m := f.memory
	known := keyuse.Known{HostKeys: hostKeys, Now: f.now, Keys: func(uid types.UID) ([]string, bool) {
		u, ok := users[uid]
		if !ok {
			return nil, false
		}
		var out []string
		for _, k := range slices.Concat(u.Credentials.Inventory, u.User.Status.Keys, m.users.Former(client.ObjectKeyFromObject(u.User))) {
			out = append(out, k.Fingerprint)
		}
		return out, true
	}}
	var uses []config.KeyUse
	var proofs []config.HostKeyProof
	for _, report := range reports {
		uses, proofs = append(uses, report.Uses...), append(proofs, report.HostKeyProofs...)
	}
	used := m.uses.Note(uses, proofs, known)
	r.Poller.Merged(name, uid, reports)
	return used
}

// forgetUses forgets the uses of keys by deleted users, and of removed host keys. It iterates over all users, so it only runs
// when some may be gone.
func forgetUses(f *findings) {
	var hostKeys []string
	for _, k := range f.currentHostKeys() {
		hostKeys = append(hostKeys, k.Fingerprint)
	}
	m := f.memory
	if !f.users.Left && slices.Equal(m.usedHostKeys, hostKeys) {
		return
	}
	users := byUID(f.access.Users)
	m.uses.Retain(func(uid types.UID) bool { return users[uid] != nil }, hostKeys)
	m.usedHostKeys = hostKeys
}

func byUID(list []*compile.User) map[types.UID]*compile.User {
	out := make(map[types.UID]*compile.User, len(list))
	for _, u := range list {
		out[u.User.UID] = u
	}
	return out
}

// unmounted returns a volume of a user that a ready pod lacks: it may be older than the volume.
func (r *Reconciler) unmounted(ctx context.Context, f *findings) (func(*v1alpha1.SFTPUser) string, error) {
	missing := map[string]bool{}
	owned, err := pods.Owned(ctx, r.Client, f.listener)
	if err != nil {
		return nil, err
	}
	for _, p := range owned {
		if ack.Ready(p) {
			for _, name := range render.Unmounted(f.listener, &p.Spec) {
				missing[name] = true
			}
		}
	}
	of := func(u *v1alpha1.SFTPUser) string {
		if len(missing) == 0 {
			return ""
		}
		if v := attach.VolumeOf(f.listener, u.Spec.HomeDirectory); missing[v] {
			return v
		}
		for _, m := range u.Spec.Mounts {
			if v := attach.VolumeOf(f.listener, m.Directory); missing[v] {
				return v
			}
		}
		return ""
	}
	return of, nil
}
