package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// ConflictError reports that an object with the wanted name exists and is not the listener's.
type ConflictError struct {
	Kind, Namespace, Name string
	// Problem is why not, and what to do.
	Problem string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %q in namespace %q %s", e.Kind, e.Name, e.Namespace, e.Problem)
}

// Check returns nil if an existing object may be applied for the listener, otherwise a
// *ConflictError that says why not.
func (h Handle) Check(ctx context.Context, live client.Object) error {
	in, err := newIntent(live, h.applier.Client.Scheme())
	if err != nil {
		return err
	}
	return h.admit(ctx, in, live)
}

// admit returns nil if an existing object may be written: it is owned by the listener, or has no owner and is adopted.
//
// A label does not make an object the listener's: server-side apply keeps fields that it does not
// know, so an earlier Deployment with the right label and an additional container would run that
// container under the operator's name. A claim has no owner by default, and contains nothing that
// runs.
func (h Handle) admit(ctx context.Context, in intent, live client.Object) error {
	conflict := func(format string, args ...any) error {
		return &ConflictError{Kind: in.kind.Kind, Namespace: live.GetNamespace(), Name: live.GetName(), Problem: fmt.Sprintf(format, args...)}
	}
	if owner := metav1.GetControllerOf(live); owner != nil {
		if owner.UID == h.owner.GetUID() {
			return nil
		}
		return conflict("belongs to %s %q; rename or delete it", owner.Kind, owner.Name)
	}
	marked := live.GetLabels()[v1alpha1.LabelListener] == h.owner.GetName()
	if marked && (in.kind.Kind == "PersistentVolumeClaim" || live.GetAnnotations()[v1alpha1.AnnotationAdopt] == "true") {
		return nil
	}
	if marked && live.GetAnnotations()[v1alpha1.AnnotationApplied] != "" {
		made, err := h.applier.madeHere(ctx, in, live)
		if made || err != nil {
			return err
		}
	}
	if in.kind.Kind == "PersistentVolumeClaim" {
		return conflict("exists and was not created by the operator for this listener; rename or delete it, or hand over its files with the label %s=%s",
			v1alpha1.LabelListener, h.owner.GetName())
	}
	return conflict("exists and was not created by the operator for this listener; rename or delete it, or hand it over with the label %s=%s and the annotation %s=true",
		v1alpha1.LabelListener, h.owner.GetName(), v1alpha1.AnnotationAdopt)
}

// madeHere reports whether the operator has applied an object, according to its
// managedFields: a listener that was deleted with --cascade=orphan leaves such objects.
// Caches do not have managedFields.
func (a *Applier) madeHere(ctx context.Context, in intent, live client.Object) (bool, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(in.kind)
	err := a.Live.Get(ctx, client.ObjectKeyFromObject(live), m)
	if apierrors.IsNotFound(err) || err == nil && m.UID != live.GetUID() {
		return false, apierrors.NewConflict(in.resource(), live.GetName(), fmt.Errorf("it was deleted or replaced in the meantime"))
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", in.id(), err)
	}
	for _, f := range m.ManagedFields {
		if f.Manager == FieldOwner && f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == "" {
			return true, nil
		}
	}
	return false, nil
}
