package pods

import (
	"context"
	"errors"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var ours = &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners", UID: "l"}}

func meta(name, uid, ownerKind, owner string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(uid), Labels: map[string]string{v1alpha1.LabelListener: "partners"}}
	if ownerKind != "" {
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v", Kind: ownerKind, Name: "any", UID: types.UID(owner), Controller: new(true)}}
	}
	return m
}

func pod(name, ownerKind, owner string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: meta(name, name, ownerKind, owner)}
}

func deployment(name, uid, owner string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: meta(name, uid, "SFTPListener", owner)}
}

func replicaSet(uid, owner string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: meta(uid, uid, "Deployment", owner)}
}

// names returns the names of the listener's pods.
func names(t *testing.T, l *v1alpha1.SFTPListener, objects ...client.Object) []string {
	t.Helper()
	list, err := Owned(t.Context(), fake.NewClientBuilder().WithObjects(objects...).Build(), l)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	return out
}

// The pods of the Deployment's ReplicaSets are the listener's, and no others are, whatever their labels.
func TestOwned(t *testing.T) {
	elsewhere := pod("elsewhere", "ReplicaSet", "rs1")
	elsewhere.Namespace = "other"
	unlabeled := pod("unlabeled", "ReplicaSet", "rs1")
	unlabeled.Labels = nil
	notController := pod("not-controller", "ReplicaSet", "rs1")
	notController.OwnerReferences[0].Controller = nil
	got := names(t, ours,
		deployment("partners-sftp", "d", "l"), deployment("other-sftp", "d2", "l2"),
		replicaSet("rs1", "d"), replicaSet("rs2", "d"), replicaSet("foreign", "d2"), replicaSet("stale", "d0"),
		pod("a", "ReplicaSet", "rs1"), pod("b", "ReplicaSet", "rs2"),
		pod("no-owner", "", ""), pod("foreign-owner", "ReplicaSet", "foreign"), pod("stale-owner", "ReplicaSet", "stale"),
		pod("unknown-owner", "ReplicaSet", "nowhere"), pod("other-kind", "Job", "rs1"), pod("of-the-deployment", "Deployment", "d"),
		pod("of-the-listener", "SFTPListener", "l"), elsewhere, unlabeled, notController)
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("pods %v", got)
	}
}

// If there is no Deployment that the listener controls, there are none.
func TestOwnedWithoutADeployment(t *testing.T) {
	rest := []client.Object{replicaSet("rs1", "d"), pod("a", "ReplicaSet", "rs1")}
	orphan := deployment("partners-sftp", "d", "l")
	orphan.OwnerReferences = nil
	for name, d := range map[string]*appsv1.Deployment{
		"another name": deployment("other-sftp", "d", "l"), "of the listener before": deployment("partners-sftp", "d", "l0"),
		"of no one": orphan, "of another UID": deployment("partners-sftp", "d9", "l"),
	} {
		if got := names(t, ours, append(slices.Clone(rest), d)...); len(got) > 0 {
			t.Errorf("%s: pods %v", name, got)
		}
	}
	if got := names(t, ours, rest...); len(got) > 0 {
		t.Errorf("no Deployment: pods %v", got)
	}
	// An object without a UID controls nothing: otherwise an owner reference without one would match it.
	nobody := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners"}}
	if got := names(t, nobody, append(slices.Clone(rest), deployment("partners-sftp", "d", ""))...); len(got) > 0 {
		t.Errorf("no UID: pods %v", got)
	}
}

// A cache that fails is an error, and does not mean that the listener has no pods.
func TestOwnedTellsErrors(t *testing.T) {
	broken := errors.New("the cache is not filled")
	all := []client.Object{deployment("partners-sftp", "d", "l"), replicaSet("rs1", "d"), pod("a", "ReplicaSet", "rs1")}
	for name, funcs := range map[string]interceptor.Funcs{
		"Deployment": {Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return broken
		}},
		"ReplicaSets": {List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			if _, sets := list.(*metav1.PartialObjectMetadataList); sets {
				return broken
			}
			return c.List(ctx, list, o...)
		}},
		"pods": {List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			if _, pods := list.(*corev1.PodList); pods {
				return broken
			}
			return c.List(ctx, list, o...)
		}},
	} {
		c := fake.NewClientBuilder().WithObjects(all...).WithInterceptorFuncs(funcs).Build()
		if got, err := Owned(t.Context(), c, ours); !errors.Is(err, broken) || len(got) > 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
