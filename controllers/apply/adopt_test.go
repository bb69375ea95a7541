package apply

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const handOver = "or hand it over with the label sftp-operator.io/listener=partners and the annotation sftp-operator.io/adopt=true"

// What may be adopted, and which objects are in the way.
func TestAdoption(t *testing.T) {
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "1111", Controller: new(true)}
	notMade := `exists and was not created by the operator for this listener; rename or delete it, ` + handOver
	for name, c := range map[string]struct {
		// make creates the objects that exist beforehand.
		make func(*testing.T, *corev1.Service)
		want string
	}{
		"without the label": {make: func(t *testing.T, s *corev1.Service) { s.Labels = nil; create(t, s) }, want: notMade},
		"of another listener": {
			make: func(t *testing.T, s *corev1.Service) { s.Labels[v1alpha1.LabelListener] = "other"; create(t, s) }, want: notMade,
		},
		"with the label only": {make: func(t *testing.T, s *corev1.Service) { create(t, s) }, want: notMade},
		"with a forged checksum": {
			make: func(t *testing.T, s *corev1.Service) {
				s.Annotations = map[string]string{v1alpha1.AnnotationApplied: "00"}
				create(t, s)
			}, want: notMade,
		},
		"handed over": {make: func(t *testing.T, s *corev1.Service) {
			s.Spec.Ports[0].Name = "http"
			s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
			create(t, s)
		}},
		"handed over without the label": {make: func(t *testing.T, s *corev1.Service) {
			s.Annotations, s.Labels = map[string]string{v1alpha1.AnnotationAdopt: "true"}, nil
			create(t, s)
		}, want: notMade},
		"handed over by halves": {make: func(t *testing.T, s *corev1.Service) {
			s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "false"}
			create(t, s)
		}, want: notMade},
		"of another owner": {make: func(t *testing.T, s *corev1.Service) {
			s.OwnerReferences = []metav1.OwnerReference{other}
			s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
			create(t, s)
		}, want: `belongs to ConfigMap "other"; rename or delete it`},
		"what an orphaning deletion left": {make: func(t *testing.T, s *corev1.Service) {
			wantApply(t, &Applier{Client: api, Live: api}, s, true)
			orphan(t, s)
		}},
		"what an orphaning deletion left, of another name": {make: func(t *testing.T, s *corev1.Service) {
			wantApply(t, &Applier{Client: api, Live: api}, s, true)
			s = orphan(t, s)
			s.Labels[v1alpha1.LabelListener] = "other"
			update(t, s)
		}, want: notMade},
		"what an orphaning deletion left, without its checksum": {make: func(t *testing.T, s *corev1.Service) {
			wantApply(t, &Applier{Client: api, Live: api}, s, true)
			s = orphan(t, s)
			s.Annotations = nil
			update(t, s)
		}, want: notMade},
		"its own without the label": {make: func(t *testing.T, s *corev1.Service) {
			wantApply(t, &Applier{Client: api, Live: api}, s, true)
			s = read(t, s.Name)
			s.Labels = nil
			update(t, s)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			object := "adopt-" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			c.make(t, service(object, 80))
			before := read(t, object)
			h := (&Applier{Client: api, Live: api}).For(listener)
			done, err := h.Apply(t.Context(), service(object, 22))
			after := read(t, object)
			if c.want == "" {
				if err != nil || !done.Wrote || !metav1.IsControlledBy(after, listener) || len(after.Spec.Ports) != 2 && after.Spec.Ports[0].Port != 22 {
					t.Errorf("error %v, owners %v, ports %v", err, after.OwnerReferences, after.Spec.Ports)
				}
				return
			}
			var conflict *ConflictError
			want := `Service "` + object + `" in namespace "default" ` + c.want
			if !errors.As(err, &conflict) || err.Error() != want {
				t.Errorf("error\n\t%v\nwant\n\t%s", err, want)
			}
			if err := h.Check(t.Context(), before); err == nil || err.Error() != want {
				t.Errorf("checked with\n\t%v\nwant\n\t%s", err, want)
			}
			if err := h.Delete(t.Context(), service(object, 22)); err != nil {
				t.Errorf("deleting it: %v", err)
			}
			if again := read(t, object); again.ResourceVersion != before.ResourceVersion {
				t.Error("the foreign object was written")
			}
		})
	}
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := api.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, o client.Object) {
	t.Helper()
	if err := api.Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// orphan does what the garbage collector does with objects of a deleted owner.
func orphan(t *testing.T, s *corev1.Service) *corev1.Service {
	t.Helper()
	s = read(t, s.Name)
	s.OwnerReferences = nil
	update(t, s)
	return s
}

// The operator's caches hold only its own objects: a foreign one is not in them, but must still be noticed.
func TestForeignObjectIsSeenPastTheCache(t *testing.T) {
	foreign := service("hidden", 80)
	foreign.Labels = nil
	create(t, foreign)
	empty := interceptor.NewClient(api, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return apierrors.NewNotFound(corev1.Resource("services"), key.Name)
		},
	})
	var conflict *ConflictError
	if _, err := (&Applier{Client: empty, Live: api}).For(listener).Apply(t.Context(), service("hidden", 22)); !errors.As(err, &conflict) {
		t.Errorf("error %v, want a conflict", err)
	}
}

func claim(name string, labels map[string]string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: maps.Clone(labels)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func owners(t *testing.T, name string) []metav1.OwnerReference {
	t.Helper()
	c := &corev1.PersistentVolumeClaim{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, c); err != nil {
		t.Fatal(err)
	}
	return c.OwnerReferences
}

// A claim left by a former listener is adopted because of its label; one without the label is not.
func TestClaimIsTakenUp(t *testing.T) {
	create(t, claim("left", own))
	create(t, claim("foreign-claim", nil))
	h := (&Applier{Client: api, Live: api}).For(listener)
	if _, err := h.ApplyKept(t.Context(), claim("left", own)); err != nil {
		t.Error(err)
	}
	_, err := h.ApplyKept(t.Context(), claim("foreign-claim", own))
	want := `PersistentVolumeClaim "foreign-claim" in namespace "default" exists and was not created by the operator for this listener; ` +
		`rename or delete it, or hand over its files with the label sftp-operator.io/listener=partners`
	if err == nil || err.Error() != want {
		t.Errorf("error\n\t%v\nwant\n\t%s", err, want)
	}
}

// An owner reference on a claim to be kept is removed, whoever set it; that of another owner stays.
func TestKeptObjectsHaveNoOwner(t *testing.T) {
	ref := func(name string, uid types.UID) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: uid}
	}
	for name, create := range map[string]func(*testing.T, *corev1.PersistentVolumeClaim){
		"applied": func(t *testing.T, c *corev1.PersistentVolumeClaim) {
			if _, err := (&Applier{Client: api, Live: api}).For(listener).Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got := owners(t, c.Name); len(got) != 1 || got[0].UID != listener.UID {
				t.Fatalf("owners %v", got)
			}
		},
		"restored": func(t *testing.T, c *corev1.PersistentVolumeClaim) {
			c.OwnerReferences = []metav1.OwnerReference{ref("other", "1111"), ref("partners", listener.UID)}
			create(t, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := claim("kept-"+name, own)
			create(t, c)
			a := &Applier{Client: api, Live: api}
			for i := range 2 {
				done, err := a.For(listener).ApplyKept(t.Context(), claim(c.Name, own))
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 && !done.Wrote {
					t.Error("nothing was written")
				}
				for _, o := range append(owners(t, c.Name), done.Live.GetOwnerReferences()...) {
					if o.UID == listener.UID {
						t.Errorf("the claim would be deleted with its listener: %v", o)
					}
				}
			}
			if got := owners(t, c.Name); name == "restored" && (len(got) != 1 || got[0].Name != "other") {
				t.Errorf("owners %v, want the other one", got)
			}
			done, err := a.For(listener).ApplyKept(t.Context(), claim(c.Name, own))
			if err != nil || done.Wrote {
				t.Errorf("wrote again: %v, error %v", done.Wrote, err)
			}
		})
	}
}
