package operator

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/record"
)

// withClaims gives a listener volumes with claimTemplates, in the given order.
func withClaims(names ...string) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = nil
		for _, name := range names {
			l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: name, ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}})
		}
	}
}

// homeIn waits until pods have a login with its home on a volume.
func homeIn(t *testing.T, ns, login, volume string) {
	t.Helper()
	eventually(t, func() error {
		u, ok := pods.logins(ns)[login]
		if !ok || u.Mounts[0].Volume != volume || u.Mounts[0].SubPath != ns+"/"+login {
			return fmt.Errorf("%s: %v, %+v", login, ok, u.Mounts)
		}
		return nil
	})
}

// Homes stay where they are when a listener is recreated with its volumes in another order, which no rule of the API can
// detect.
func TestHomesOfAListenerThatIsMadeAgain(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withClaims("data", "front"))
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	homeIn(t, ns, "acme", "data")
	if h := l.Status.HomeVolume; h == nil || *h != (v1alpha1.HomeVolume{Name: "data", ClaimName: "partners-data"}) {
		t.Errorf("status.homeVolume is %+v", h)
	}
	again := func(edit func(*v1alpha1.SFTPListener), pod string) {
		t.Helper()
		remove(t, l)
		collectGarbage(t, ns, l)
		l = newListener(ns, edit)
		create(t, l)
		readyPod(t, l, pod)
	}

	again(withClaims("front", "data"), "b")
	waitFor(t, l, "Accepted", "True", "HomesWouldMove", `The home directories are on volume "data", claim "partners-data", and stay there although the spec asks for volume "front": `+
		`set homeDirectory.volume to "data"; or move the files, and set homeDirectory.movedFrom to "data"`)
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitReady(t, u)
	homeIn(t, ns, "acme", "data")
	eventually(t, func() error {
		if got := eventsOf(t, ns, "HomesWouldMove"); len(got) != 1 || !strings.HasPrefix(got[0], "Warning ") {
			return fmt.Errorf("events %q", got)
		}
		return nil
	})
	restartOperator(t, func() {}) // the record also outlives the operator
	askPods(t, l, 1)
	homeIn(t, ns, "acme", "data")

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.HomeDirectory.Volume = "data" })
	waitFor(t, l, "Accepted", "True", "Accepted", "")
	err := api.Patch(t.Context(), l.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"homeDirectory":{"volume":"front"}}}`)))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "the home directories must stay where they are, on volume data") {
		t.Errorf("a change to the home: %v", err)
	}
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.HomeDirectory = v1alpha1.ListenerHomeDirectory{MovedFrom: "data"}
	})
	homeIn(t, ns, "acme", "front")
	eventually(t, func() error {
		if got := eventsOf(t, ns, "HomesMoved"); len(got) != 1 || !strings.HasPrefix(got[0], `Normal The home directories are now on volume "front", claim "partners-front".`) {
			return fmt.Errorf("events %q", got)
		}
		return nil
	})

	// Without the volume there is nothing to serve, and an empty directory must not take its place.
	again(withClaims("data"), "c")
	waitFor(t, l, "Accepted", "False", "HomesWouldMove", "")
	waitRefused(t, u, "VolumeNotFound", `The home directories of SFTPListener "partners" are on volume "front", which its spec no longer has; the condition Accepted of the listener says how to get them back`)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.HomeDirectory.MovedFrom = "front" })
	waitFor(t, l, "Ready", "True", "Ready", "")
	homeIn(t, ns, "acme", "data")
}

// The record outlives its listener, and is deleted with the listener if the claims are.
func TestRecordGoesWithTheClaims(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withClaims("data"))
	s := &corev1.Secret{}
	owned := func(want bool) {
		t.Helper()
		eventually(t, func() error {
			get(t, s, ns, record.SecretName("partners"))
			if metav1.IsControlledBy(s, l) != want || s.Labels[v1alpha1.LabelRecord] != "partners" {
				return fmt.Errorf("owners %v, labels %v", s.OwnerReferences, s.Labels)
			}
			return nil
		})
	}
	owned(false)
	for _, retention := range []v1alpha1.RetentionPolicy{v1alpha1.Delete, v1alpha1.Retain} {
		change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.VolumeClaimRetention = retention })
		owned(retention == v1alpha1.Delete)
		c := &corev1.PersistentVolumeClaim{}
		eventually(t, func() error {
			get(t, c, ns, "partners-data")
			if metav1.IsControlledBy(c, l) != (retention == v1alpha1.Delete) {
				return fmt.Errorf("%s: owners of the claim %v", retention, c.OwnerReferences)
			}
			return nil
		})
	}
	c := &corev1.PersistentVolumeClaim{}
	get(t, c, ns, "partners-data")
	if _, ok := c.Labels["app.kubernetes.io/instance"]; ok || c.Annotations["argocd.argoproj.io/sync-options"] != "Prune=false" {
		t.Errorf("the claim can be pruned: labels %v, annotations %v", c.Labels, c.Annotations)
	}
}

// A refused change to a claim does not make a serving listener unready, but causes a warning.
func TestRefusedClaimOfAReadyListener(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withClaims("data"))
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Volumes[0].ClaimTemplate.Storage = resource.MustParse("2Gi") }) // unbound: refused
	waitFor(t, l, "ObjectsApplied", "False", "ApplyFailed", "")
	waitFor(t, l, "Ready", "True", "Ready", "")
	eventually(t, func() error {
		if got := eventsOf(t, ns, "ApplyFailed"); len(got) != 1 || !strings.HasPrefix(got[0], "Warning ") {
			return fmt.Errorf("events %q", got)
		}
		return nil
	})
}

// TestEveryEditOfVolumes: whatever is done to the volumes of a running listener, a login finds its files where they were, or
// the edit is refused with a message that says what to do. Only movedFrom moves homes elsewhere. The test prints the table.
func TestEveryEditOfVolumes(t *testing.T) {
	claim := func(name string) v1alpha1.ListenerVolume {
		return v1alpha1.ListenerVolume{Name: name, ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}}
	}
	existing := func(name, claim string) v1alpha1.ListenerVolume {
		return v1alpha1.ListenerVolume{Name: name, PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: claim}}
	}
	const stays, moves, refused = "stays", "moves", "refused"
	for _, tc := range []struct {
		edit    string
		volumes []v1alpha1.ListenerVolume
		home    v1alpha1.ListenerHomeDirectory
		want    string
		// volume is the one that the homes are on afterward.
		volume string
	}{
		{"nothing", []v1alpha1.ListenerVolume{claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{}, stays, "data"},
		{"append", []v1alpha1.ListenerVolume{claim("data"), claim("archive"), claim("more")}, v1alpha1.ListenerHomeDirectory{}, stays, "data"},
		{"insert in front", []v1alpha1.ListenerVolume{claim("front"), claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"insert in front, home named", []v1alpha1.ListenerVolume{claim("front"), claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{Volume: "data"}, stays, "data"},
		{"insert in front, files moved", []v1alpha1.ListenerVolume{claim("front"), claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{MovedFrom: "data"}, moves, "front"},
		{"reorder", []v1alpha1.ListenerVolume{claim("archive"), claim("data")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"reorder, home named", []v1alpha1.ListenerVolume{claim("archive"), claim("data")}, v1alpha1.ListenerHomeDirectory{Volume: "data"}, stays, "data"},
		{"rename", []v1alpha1.ListenerVolume{claim("renamed"), claim("archive")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"rename, with its claim", []v1alpha1.ListenerVolume{existing("renamed", "partners-data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{}, stays, "renamed"},
		{"rename, files moved", []v1alpha1.ListenerVolume{claim("renamed"), claim("archive")}, v1alpha1.ListenerHomeDirectory{MovedFrom: "data"}, moves, "renamed"},
		{"remove", []v1alpha1.ListenerVolume{claim("archive")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"remove, files moved", []v1alpha1.ListenerVolume{claim("archive")}, v1alpha1.ListenerHomeDirectory{MovedFrom: "data"}, moves, "archive"},
		{"remove the other", []v1alpha1.ListenerVolume{claim("data")}, v1alpha1.ListenerHomeDirectory{}, stays, "data"},
		{"replace by another claim", []v1alpha1.ListenerVolume{existing("data", "other"), claim("archive")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"replace by an emptyDir", []v1alpha1.ListenerVolume{{Name: "data", EmptyDir: &v1alpha1.EmptyDirVolume{}}, claim("archive")}, v1alpha1.ListenerHomeDirectory{}, refused, "data"},
		{"name another home", []v1alpha1.ListenerVolume{claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{Volume: "archive"}, refused, "data"},
		{"name another home, files moved", []v1alpha1.ListenerVolume{claim("data"), claim("archive")}, v1alpha1.ListenerHomeDirectory{Volume: "archive", MovedFrom: "data"}, moves, "archive"},
	} {
		t.Run(tc.edit, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t, nil)
			l := readyListener(t, ns, withClaims("data", "archive"))
			u := newUser(ns, "acme")
			create(t, u)
			waitReady(t, u)
			homeIn(t, ns, "acme", "data")
			before := l.DeepCopy()
			l.Spec.Volumes, l.Spec.HomeDirectory = tc.volumes, tc.home
			err := api.Patch(t.Context(), l, client.MergeFrom(before))
			got, says := stays, ""
			if err != nil {
				got, says = refused, err.Error()
				if !apierrors.IsInvalid(err) || !strings.Contains(says, "the home directories must stay where they are, on volume data: name it in spec.homeDirectory.volume") &&
					!strings.Contains(says, "data") {
					t.Fatal(err)
				}
			} else {
				u.Spec.Limits.MaxConnections = new(int32(3)) // so that the user is compiled again with the listener's new spec
				change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(3)) })
				eventually(t, func() error {
					login := pods.logins(ns)["acme"]
					if login.MaxConnections != 3 {
						return fmt.Errorf("the pods do not have the last change")
					}
					return nil
				})
				if tc.want == moves {
					got = moves
					eventually(t, func() error {
						events := eventsOf(t, ns, "HomesMoved")
						if len(events) == 0 {
							return fmt.Errorf("no event says that the homes have moved")
						}
						says = events[0]
						return nil
					})
				}
			}
			homeIn(t, ns, "acme", tc.volume)
			if got != tc.want {
				t.Errorf("%s, want %s: %s", got, tc.want, says)
			}
			t.Logf("HOMES | %-31s | %-7s | %-7s | %s", tc.edit, got, tc.volume, says)
		})
	}
}
