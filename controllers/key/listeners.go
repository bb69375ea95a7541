package key

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=sftp-operator.io,resources=sftplisteners,verbs=get;list;watch

// hostKeysDiffer reports whether two versions of a listener have different host keys.
func hostKeysDiffer(before, after client.Object) bool {
	a, ok1 := before.(*v1alpha1.SFTPListener)
	b, ok2 := after.(*v1alpha1.SFTPListener)
	return ok1 && ok2 && !slices.EqualFunc(a.Status.HostKeys, b.Status.HostKeys, func(a, b v1alpha1.HostKeyStatus) bool {
		return a.Fingerprint == b.Fingerprint
	})
}

// hostKeysOfListener returns the SFTPKeys whose keys a listener has.
func hostKeysOfListener(_ context.Context, o client.Object) []reconcile.Request {
	l, ok := o.(*v1alpha1.SFTPListener)
	if !ok {
		return nil
	}
	out := make([]reconcile.Request, 0, len(l.Status.HostKeys))
	for i := range l.Status.HostKeys {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKey{Namespace: l.Namespace, Name: l.Status.HostKeys[i].Name}})
	}
	return out
}
