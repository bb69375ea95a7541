package delivery

import (
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The Writer's own writes are ignored, even if a watch shows them before the call has returned; writes by others are noticed
// before, during and after.
func TestNews(t *testing.T) {
	r := newRig(t)
	name := client.ObjectKeyFromObject(r.l)
	var seen []*corev1.Secret
	r.secrets.Watch = func(o *corev1.Secret) {
		seen = append(seen, o.DeepCopy())
		if r.News(name, o) {
			t.Errorf("%s, which is being written, is news", o.Name)
		}
	}
	first, _ := r.write("a")
	if first.Foreign || len(seen) != 2 {
		t.Errorf("%d Secrets were written, and someone else did it: %v", len(seen), first.Foreign)
	}
	second, _ := r.write("a b")
	if second.Foreign || len(seen) != 4 {
		t.Errorf("%d Secrets were written, and someone else did it: %v", len(seen), second.Foreign)
	}
	for _, o := range seen {
		if r.News(name, o) {
			t.Errorf("version %s of %s is news once there is another one", o.ResourceVersion, o.Name)
		}
	}

	edited := seen[3].DeepCopy()
	edited.Data = map[string][]byte{"foreign": nil}
	r.secrets.Put(edited)
	edited = r.secrets.Secret(edited.Namespace, edited.Name)
	if !r.News(name, edited) {
		t.Error("an edited Secret is not news")
	}
	made := edited.DeepCopy()
	made.UID = "another"
	if !r.News(name, made) {
		t.Error("a Secret that was recreated is not news")
	}

	r.secrets.Watch = func(o *corev1.Secret) {
		o = o.DeepCopy()
		o.Data = map[string][]byte{"foreign": []byte(o.ResourceVersion)}
		r.secrets.Put(o)
		if r.News(name, r.secrets.Secret(o.Namespace, o.Name)) {
			t.Error("it is judged while the Secrets are being written")
		}
	}
	if res, _ := r.write("a b c"); !res.Foreign {
		t.Error("an edit meanwhile is not noticed")
	}
}

// A client that can create Secrets with a listener's label cannot make the operator keep many of them.
func TestNewsIsBounded(t *testing.T) {
	var n news
	name := types.NamespacedName{Name: "l"}
	o := func(i int) client.Object {
		s := &corev1.Secret{}
		s.Name = strconv.Itoa(i)
		return s
	}
	if n.put(name, o(0)) {
		t.Error("it is kept while nothing is written")
	}
	n.begin(name)
	for i := range 2 * maxNews {
		if kept := n.put(name, o(i)); kept != (i < maxNews) {
			t.Errorf("%d is kept: %v", i, kept)
		}
	}
	if !n.put(name, o(1)) || n.put(types.NamespacedName{Name: "other"}, o(1)) {
		t.Error("a Secret that is known already is not kept, or one of another listener is")
	}
	if seen := n.end(name); len(seen) != maxNews || n.put(name, o(0)) {
		t.Errorf("%d are kept", len(seen))
	}
}
