package listener

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/keptsecret"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/record"
)

// kept is what is known about the record in a reconcile.
type kept struct {
	// record is the record to be written, after adopting that of an earlier listener.
	record record.Record
	// homes is the listener with the recorded home volume.
	homes *v1alpha1.SFTPListener
}

// earlierKeys returns the host keys of an earlier listener that should be used again, in the form of a status.
func (k kept) earlierKeys() []v1alpha1.HostKeyStatus {
	if !k.record.KeysPending {
		return nil
	}
	out := make([]v1alpha1.HostKeyStatus, 0, len(k.record.HostKeys))
	for _, h := range k.record.HostKeys {
		s := v1alpha1.HostKeyStatus{Name: h.Name, Revision: h.Revision, Algorithm: h.Algorithm, Fingerprint: h.Fingerprint, State: h.State}
		if !h.Since.IsZero() {
			s.StateTime = new(metav1.NewTime(h.Since))
		}
		out = append(out, s)
	}
	return out
}

// readRecord reads the record and passes its content to the access controller. If the API server does not answer, homes and
// names stay as they are.
func (r *Reconciler) readRecord(ctx context.Context, f *findings) error {
	l := f.listener
	cell := &r.Store.Of(client.ObjectKeyFromObject(l), l.UID).Record
	f.kept.homes = l
	if old := cell.Load(); old != nil {
		f.kept.homes = attach.WithHome(l, old.Home)
	}
	rec, err := r.currentRecord(ctx, l, f.memory)
	if err != nil {
		return err
	}
	f.kept.record = rec.TakenUp(l.UID, f.now)
	f.kept.homes = attach.WithHome(l, rec.Home)
	if f.kept.record.Restoring(f.now) {
		f.next.At(f.kept.record.RestoredTime.Add(record.RestoreWindow))
	}
	next := &exchange.Record{
		Home: attach.HomeOf(f.kept.homes), Holders: f.kept.record.Holders(f.now), Places: f.kept.record.PlacesBefore(f.now),
	}
	if old := cell.Load(); old == nil || !reflect.DeepEqual(old, next) {
		cell.Store(next)
		r.Access.Wake(client.ObjectKeyFromObject(l))
	}
	return nil
}

// currentRecord returns the record as it is stored. If it has not changed since the last time, this costs no API call, because
// the cached metadata has its version. A foreign Secret with that name counts as none, and keepRecord reports it.
func (r *Reconciler) currentRecord(ctx context.Context, l *v1alpha1.SFTPListener, m *memory) (record.Record, error) {
	if r.isCurrent(ctx, l.Namespace, record.SecretName(l.Name), m.record) {
		rec, err := record.Decode(m.record.Data[record.Entry])
		if err != nil {
			rec = record.Record{} // damaged: it is written again
		}
		return rec, nil
	}
	rec, secret, err := record.Read(ctx, r.Live, l.Namespace, l.Name)
	if err != nil && !errors.Is(err, record.ErrForeign) {
		return record.Record{}, err
	}
	m.record = secret
	return rec, nil
}

// isCurrent reports whether a Secret that was read before, nil for none, is still the one that the cached metadata has.
func (r *Reconciler) isCurrent(ctx context.Context, namespace, name string, secret *corev1.Secret) bool {
	if secret == nil {
		return false
	}
	cached := &metav1.PartialObjectMetadata{}
	cached.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, cached)
	return err == nil && cached.UID == secret.UID && cached.ResourceVersion == secret.ResourceVersion
}

// restorable returns the host keys that a listener of this name should have again. The Secret of an SFTPKey with deletionPolicy:
// Delete ends with it, and nothing would ever bring back the pair that a recreated listener waits for. A key whose SFTPKey is gone
// stays as it is recorded.
func (r *Reconciler) restorable(
	ctx context.Context, namespace string, keys []v1alpha1.HostKeyStatus, recorded record.Record,
) ([]v1alpha1.HostKeyStatus, error) {
	out := make([]v1alpha1.HostKeyStatus, 0, len(keys))
	for i := range keys {
		name, k := keys[i].Name, &v1alpha1.SFTPKey{}
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, k)
		gone := apierrors.IsNotFound(err)
		if err != nil && !gone {
			return nil, fmt.Errorf("read SFTPKey %s: %w", name, err)
		}
		if gone && recorded.KeyOf(name, keys[i].Revision) != "" || !gone && k.Spec.DeletionPolicy != v1alpha1.Delete {
			out = append(out, keys[i])
		}
	}
	return out, nil
}

// keepRecord stores the record if it differs from what is stored.
func (r *Reconciler) keepRecord(ctx context.Context, f *findings) error {
	l, m := f.listener, f.memory
	now := record.Current{Home: attach.HomeOf(f.kept.homes)}
	if f.hostKeys != nil && f.hostKeys.Keys != nil {
		keys, err := r.restorable(ctx, l.Namespace, f.hostKeys.Status, f.kept.record)
		if err != nil {
			return err
		}
		now.HostKeys, now.KeysUsed = keys, true
	}
	if m.record == nil && !now.KeysUsed {
		return nil // there is nothing to lose yet, and one write is enough
	}
	if f.access.Err == nil && f.access.Generation == l.Generation {
		now.Logins, now.Places, now.LoginsKnown = contested(f.access.Users), places(f.access.Users), true
	}
	next := f.kept.record.Next(now, f.now)
	data, err := next.Encode()
	if err != nil {
		return err
	}
	if m.record != nil && bytes.Equal(m.record.Data[record.Entry], data) && keptsecret.Owned(l, m.record) {
		return nil
	}
	secret, err := record.Write(ctx, r.Client, l, next, m.record)
	if err == nil {
		m.record = secret
		return nil
	}
	if _, _, foreign := record.Read(ctx, r.Live, l.Namespace, l.Name); errors.Is(foreign, record.ErrForeign) {
		f.workload.Refusals = append(f.workload.Refusals, workload.Refusal{
			Object: fmt.Sprintf("Secret %q", record.SecretName(l.Name)), Reason: v1alpha1.ReasonResourceConflict, Message: foreign.Error(),
		})
		return nil
	}
	if message, refused := apply.Refusal(err); refused && !apply.NamespaceEnding(err) {
		f.workload.Refusals = append(f.workload.Refusals, workload.Refusal{
			Object: fmt.Sprintf("Secret %q", record.SecretName(l.Name)), Reason: v1alpha1.ReasonApplyFailed, Message: message,
		})
		f.next.In(f.now, apply.RetryRefused)
		return nil
	}
	return err
}

// contested returns the login names that several users ask for, with their current holders.
func contested(users []*compile.User) []record.Login {
	names := map[string]bool{}
	for _, u := range users {
		if u.Reason == v1alpha1.ReasonUsernameConflict {
			names[u.Username] = true
		}
	}
	var out []record.Login
	for _, u := range users {
		if !names[u.Username] {
			continue
		}
		switch u.Reason {
		case v1alpha1.ReasonUsernameConflict, v1alpha1.ReasonNotAllowedByListener, v1alpha1.ReasonInvalidUsername:
		default:
			out = append(out, record.Login{Username: u.Username, Namespace: u.User.Namespace, Name: u.User.Name})
		}
	}
	return out
}

// places returns who has a login where others wait for one: in the whole listener if it is full, and in namespaces that have all
// the logins that they may have.
func places(users []*compile.User) attach.Places {
	full, namespaces := false, map[string]bool{}
	for _, u := range users {
		full = full || u.Reason == v1alpha1.ReasonListenerFull
		if u.Reason == v1alpha1.ReasonNamespaceFull {
			namespaces[u.User.Namespace] = true
		}
	}
	if !full && len(namespaces) == 0 {
		return nil
	}
	var in []types.NamespacedName
	for _, u := range users {
		if u.Accepted() && (full || namespaces[u.User.Namespace]) {
			in = append(in, types.NamespacedName{Namespace: u.User.Namespace, Name: u.User.Name})
		}
	}
	return attach.PlacesOf(in)
}
