package key

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/record"
)

// Of several listeners that had a key, the one that does not use it again yet decides, whatever their names.
func TestRecordsOfSeveralListeners(t *testing.T) {
	for name, tc := range map[string]struct {
		uses, waits string // listeners
		made        bool
	}{
		"the first one waits": {"b", "a", false},
		"the last one waits":  {"a", "b", false},
		"none waits":          {"a", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			k, lost, given := hostKey(), pair(t), pair(t)
			r := newRig(t, k)
			add := func(listener string, m Material, pending bool) {
				s := recordOf(t, k, m, "today", pending)
				s.Name, s.Labels[v1alpha1.LabelRecord] = record.SecretName(listener), listener
				l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: listener, UID: "today"}}
				if err := r.all.Create(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if err := r.all.Create(t.Context(), l); err != nil {
					t.Fatal(err)
				}
			}
			add(tc.uses, given, false)
			if tc.waits != "" {
				add(tc.waits, lost, true)
			}
			k, _ = r.settle(k)
			if made := k.Status.PublicKey != ""; made != tc.made {
				t.Errorf("a key was made: %v, %s", made, ready(k))
			}
			if want := `SFTPListener "` + tc.waits + `" had the key ` + lost.Fingerprint(); !tc.made && !strings.Contains(ready(k), want) {
				t.Errorf("%s, want %s", ready(k), want)
			}
		})
	}
}

// When a pair was made is known from the status. A Secret that is restored from a backup is newer than its pair, and would
// otherwise delay the next rotation.
func TestRestoredSecretIsNoNewPair(t *testing.T) {
	for name, mark := range map[string]string{"without a mark": "", "with another one": began.Add(30 * time.Minute).Format(time.RFC3339)} {
		r := newRig(t, hostKey())
		k, _ := r.settle(hostKey())
		made := k.Status.RevisionTime
		if made == nil {
			t.Fatalf("%s: when the pair was made is not known", name)
		}
		r.now = r.now.Add(time.Hour)
		s := r.secretNamed(k, "host")
		if err := r.all.Delete(t.Context(), s.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		s.ResourceVersion, s.UID, s.CreationTimestamp = "", "restored", metav1.NewTime(r.now)
		delete(s.Annotations, v1alpha1.AnnotationMade)
		if mark != "" {
			s.Annotations = map[string]string{v1alpha1.AnnotationMade: mark}
		}
		if err := r.all.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if k, _ = r.settle(k); !strings.HasPrefix(ready(k), "True Ready") || !k.Status.RevisionTime.Equal(made) {
			t.Errorf("%s: made %v, was %v; %s", name, k.Status.RevisionTime, made, ready(k))
		}
	}
}
