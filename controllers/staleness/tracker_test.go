package staleness

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestWriteTracker(t *testing.T) {
	object := func(name, version string) client.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: version}}
	}
	var w WriteTracker
	if w.IsStale(object("a", "1")) {
		t.Error("nothing was written")
	}
	w.Note(object("a", "10"))
	for version, want := range map[string]bool{"9": true, "10": false, "11": false} {
		if got := w.IsStale(object("a", version)); got != want {
			t.Errorf("version %s is outdated: %v, want %v", version, got, want)
		}
	}
	if w.IsStale(object("b", "9")) {
		t.Error("another object was written")
	}
	w.Forget(client.ObjectKey{Namespace: "ns", Name: "a"})
	if w.IsStale(object("a", "9")) {
		t.Error("the object was forgotten")
	}
}
