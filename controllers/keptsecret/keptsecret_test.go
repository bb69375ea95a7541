package keptsecret

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var errForeign = errors.New("is not the listener's")

var kind = Kind{Type: "example.com/kept", Label: "example.com/kept", Foreign: errForeign}

func cluster(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func listener(retention v1alpha1.RetentionPolicy) *v1alpha1.SFTPListener {
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "files", UID: "uid-of-files"}}
	l.Spec.VolumeClaimRetention = retention
	return l
}

func stored(change func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "files-kept", Labels: map[string]string{kind.Label: "files"}}, Type: kind.Type,
	}
	if change != nil {
		change(s)
	}
	return s
}

// TestRead: only the listener's own Secret counts. One that someone else has put in its place is an error, and does not
// count as missing.
func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		have    *corev1.Secret
		want    bool
		foreign bool
	}{
		"none":                    {},
		"the listener's":          {have: stored(nil), want: true},
		"of another type":         {have: stored(func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }), foreign: true},
		"of another listener":     {have: stored(func(s *corev1.Secret) { s.Labels[kind.Label] = "other" }), foreign: true},
		"without a label":         {have: stored(func(s *corev1.Secret) { s.Labels = nil }), foreign: true},
		"in another namespace":    {have: stored(func(s *corev1.Secret) { s.Namespace = "other" })},
		"the listener's, and old": {have: stored(func(s *corev1.Secret) { s.OwnerReferences = owners("files") }), want: true},
	} {
		var objects []client.Object
		if tc.have != nil {
			objects = append(objects, tc.have)
		}
		s, err := kind.Read(t.Context(), cluster(t, objects...), "team", "files-kept", "files")
		if (s != nil) != tc.want || errors.Is(err, errForeign) != tc.foreign || (err != nil) != tc.foreign {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if err != nil && !strings.Contains(err.Error(), `Secret "files-kept" in namespace "team" is not the listener's`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	down := apierrors.NewInternalError(errors.New("down"))
	c := interceptor.NewClient(cluster(t), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return down
		},
	})
	if s, err := kind.Read(t.Context(), c, "team", "files-kept", "files"); s != nil || !errors.Is(err, down) {
		t.Errorf("an API server that is down: %v, %v", s, err)
	}
}

func owners(names ...string) (out []metav1.OwnerReference) {
	for _, name := range names {
		out = append(out, metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SFTPListener", Name: name, UID: "uid-of-an-earlier-one"})
	}
	return out
}

// TestWrite: a Secret is deleted with its listener only if that listener's claims are, whatever its owners were before; and
// additions by others stay.
func TestWrite(t *testing.T) {
	data := map[string][]byte{"a": []byte("1")}
	for name, tc := range map[string]struct {
		retention v1alpha1.RetentionPolicy
		was       *corev1.Secret
		owners    string
	}{
		"new, and stays": {v1alpha1.Retain, nil, ""},
		"new, and goes":  {v1alpha1.Delete, nil, "files"},
		"stays from now": {v1alpha1.Retain, stored(func(s *corev1.Secret) {
			s.OwnerReferences = append(owners("files", "other"), metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "files", UID: "x"})
		}), "other files"},
		"goes from now":     {v1alpha1.Delete, stored(func(s *corev1.Secret) { s.OwnerReferences = owners("other") }), "other files"},
		"of an earlier one": {v1alpha1.Delete, stored(func(s *corev1.Secret) { s.OwnerReferences = owners("files") }), "files"},
		"with labels": {v1alpha1.Retain, stored(func(s *corev1.Secret) {
			s.Labels["theirs"], s.Data = "x", map[string][]byte{"b": []byte("2")}
		}), ""},
	} {
		l := listener(tc.retention)
		c := cluster(t)
		var was *corev1.Secret
		if tc.was != nil {
			if err := c.Create(t.Context(), tc.was); err != nil {
				t.Fatal(err)
			}
			was = tc.was.DeepCopy()
		}
		s, err := kind.Write(t.Context(), c, l, "files-kept", data, was)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		have, err := kind.Read(t.Context(), c, "team", "files-kept", "files")
		if err != nil || have == nil {
			t.Fatalf("%s: %v, %v", name, have, err)
		}
		var names []string
		for _, o := range have.OwnerReferences {
			names = append(names, o.Name)
		}
		if got := strings.Join(names, " "); got != tc.owners {
			t.Errorf("%s: owners %q, want %q", name, got, tc.owners)
		}
		if len(have.Data) != 1 || string(have.Data["a"]) != "1" || have.Labels["app.kubernetes.io/managed-by"] != "sftp-operator" || s.ResourceVersion != have.ResourceVersion {
			t.Errorf("%s: %+v", name, have)
		}
		if was != nil && (have.Labels["theirs"] != tc.was.Labels["theirs"] || string(was.Data["a"]) != "") {
			t.Errorf("%s: labels %v, and what was read has become %v", name, have.Labels, was.Data)
		}
		if !Owned(l, have) || Owned(listener(map[bool]v1alpha1.RetentionPolicy{true: v1alpha1.Retain, false: v1alpha1.Delete}[tc.retention == v1alpha1.Delete]), have) {
			t.Errorf("%s: deleted with the listener: %v", name, have.OwnerReferences)
		}
	}
}

// TestWriteOverAnother: a Secret that has changed or appeared since it was read is not overwritten.
func TestWriteOverAnother(t *testing.T) {
	l := listener(v1alpha1.Retain)
	c := cluster(t, stored(nil))
	if _, err := kind.Write(t.Context(), c, l, "files-kept", nil, nil); !apierrors.IsAlreadyExists(err) {
		t.Errorf("over one that has appeared: %v", err)
	}
	was, err := kind.Read(t.Context(), c, "team", "files-kept", "files")
	if err != nil {
		t.Fatal(err)
	}
	restored := was.DeepCopy()
	restored.Data = map[string][]byte{"restored": []byte("x")}
	if err := c.Update(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	if _, err := kind.Write(t.Context(), c, l, "files-kept", map[string][]byte{"a": nil}, was); !apierrors.IsConflict(err) {
		t.Errorf("over one that was restored: %v", err)
	}
	other := cluster(t)
	l.Spec.VolumeClaimRetention = v1alpha1.Delete
	taken := stored(func(s *corev1.Secret) {
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "x", UID: "x", Controller: new(true)}}
	})
	if err := other.Create(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if s, err := kind.Write(t.Context(), other, l, "files-kept", nil, taken); err == nil {
		t.Errorf("of another controller: %+v", s)
	}
}

// TestOwned: an earlier listener with the same name does not count as the owner, and must not remain one.
func TestOwned(t *testing.T) {
	earlier := stored(func(s *corev1.Secret) { s.OwnerReferences = owners("files") })
	if Owned(listener(v1alpha1.Delete), earlier) || Owned(listener(v1alpha1.Retain), earlier) {
		t.Error("one that is deleted with an earlier listener is left as it is")
	}
	others := stored(func(s *corev1.Secret) { s.OwnerReferences = owners("other") })
	if !Owned(listener(v1alpha1.Retain), others) || Owned(listener(v1alpha1.Delete), others) {
		t.Error("other owners count")
	}
}
