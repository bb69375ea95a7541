package e2e

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// An upload continues while the pods are replaced: it completes within the drain time, and the file is what was sent.
func TestRolloutDuringUpload(t *testing.T) {
	ns := newNamespace(t, "rollout", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		withTwoPods(s)
		s.Shutdown.DrainTimeoutSeconds = new(int32(120))
	})
	waitTwoPods(t, l)
	k := newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	source := randomFile(t, 1024)
	want := sha256File(t, source)
	before := podUIDs(t, l)

	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	upload := startSlowUpload(t, s, source, "big", 100<<20)
	upload.wait(t)
	start := time.Now()
	rollImage(t, l)
	eventually(t, 2*time.Minute, "all old pods are terminating", func() bool {
		for _, p := range podsOf(t, l) {
			if _, old := before[p.UID]; old {
				return false
			}
		}
		return true
	})
	if upload.done() {
		t.Fatal("the upload was over before the old pods began to terminate, so the test proves nothing")
	}
	upload.release()
	if err := upload.finish(); err != nil {
		t.Fatalf("the upload broke: %v", err)
	}
	took := time.Since(start)

	if got := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer)).sha256(t, "big"); got != want {
		t.Fatalf("sha256 is %s, sent was %s", got, want)
	}
	fmt.Printf("ROLLOUT 1 GiB upload continued during the rollout of 2 pods, %s from the rollout to its end, sha256 %s matches\n", took.Round(time.Millisecond), want)
}

// finishWithin is like finish, for an upload that should break.
func (u *slowUpload) finishWithin(limit time.Duration) error {
	select {
	case u.results = <-u.result:
		u.ended = true
		return u.results
	case <-time.After(limit):
		return nil
	}
}

// withTwoPods has a listener run two pods on one volume.
func withTwoPods(s *v1alpha1.SFTPListenerSpec) {
	s.Replicas = new(int32(2))
	s.Volumes = []v1alpha1.ListenerVolume{{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{
		Storage: resource.MustParse("3Gi"), AccessModes: []v1alpha1.AccessMode{"ReadWriteMany"},
	}}}
}

func waitTwoPods(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	// status.replicas also counts pods that are not ready.
	eventually(t, time.Minute, "two pods are ready", func() bool {
		pods := podsOf(t, l)
		return len(pods) == 2 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return !readyPod(&p) })
	})
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(l), l))
}

// rollImage gives the pods a different image reference with the same content, as an upgrade of the operator would. It does so
// through the operator, which reverts changes made by others.
func rollImage(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorDeployment(t)}}
	next := imageRepository() + ":next"
	update(t, d, func(d *appsv1.Deployment) {
		for i, a := range d.Spec.Template.Spec.Containers[0].Args {
			if strings.HasPrefix(a, "--daemon-image=") {
				d.Spec.Template.Spec.Containers[0].Args[i] = "--daemon-image=" + next
			}
		}
	})
	t.Cleanup(func() {
		if err := installWithHelm(); err != nil {
			t.Errorf("restore the operator's image: %v", err)
		}
	})
	eventually(t, 2*time.Minute, "the operator rolls out the new image", func() bool {
		w := &appsv1.Deployment{}
		must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: l.Namespace, Name: l.Name + "-sftp"}, w))
		return w.Spec.Template.Spec.Containers[0].Image == next
	})
}

// slowUpload is an upload that slows to a trickle until it is released.
type slowUpload struct {
	sent    chan struct{}
	go1     chan struct{}
	result  chan error
	results error
	ended   bool
}

// startSlowUpload sends the first bytes at full speed.
func startSlowUpload(t *testing.T, s *session, source, name string, first int64) *slowUpload {
	t.Helper()
	in, err := os.Open(source)
	must(t, err)
	t.Cleanup(func() { _ = in.Close() })
	file, err := s.Create(name)
	must(t, err)
	// Without ReadFrom, which treats the end of the connection as the end of the source.
	out := struct{ io.Writer }{file}
	u := &slowUpload{sent: make(chan struct{}), go1: make(chan struct{}), result: make(chan error, 1)}
	go func() {
		_, err := io.CopyN(out, in, first)
		if err == nil {
			close(u.sent)
			// A trickle, so that the upload is in progress and not merely open.
			for held := true; held && err == nil; {
				select {
				case <-u.go1:
					held = false
				case <-time.After(100 * time.Millisecond):
					_, err = io.CopyN(out, in, 4<<10)
				}
			}
		}
		if err == nil {
			_, err = io.Copy(out, in)
		}
		if err == nil {
			err = file.Close()
		}
		u.result <- err
	}()
	return u
}

// wait waits until the first bytes have been sent.
func (u *slowUpload) wait(t *testing.T) {
	t.Helper()
	select {
	case <-u.sent:
	case err := <-u.result:
		t.Fatalf("the upload ended early: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the first part was not sent within a minute")
	}
}

func (u *slowUpload) done() bool {
	select {
	case u.results = <-u.result:
		u.ended = true
	default:
	}
	return u.ended
}

func (u *slowUpload) release() { close(u.go1) }

func (u *slowUpload) finish() error {
	if !u.ended {
		u.results = <-u.result
	}
	return u.results
}

// The pods comply with Pod Security "restricted", which their namespaces enforce, and have no token.
func TestPodsAreRestricted(t *testing.T) {
	ns := newNamespace(t, "restricted", nil)
	l := newListener(t, ns, "partners", nil)
	for _, p := range podsOf(t, l) {
		for _, v := range p.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, src := range v.Projected.Sources {
				if src.ServiceAccountToken != nil {
					t.Errorf("pod %s has an API token", p.Name)
				}
			}
		}
		if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken {
			t.Errorf("pod %s would get an API token", p.Name)
		}
	}
	for _, name := range []string{ns, operatorNamespace} {
		n := &corev1.Namespace{}
		must(t, kube.Get(t.Context(), types.NamespacedName{Name: name}, n))
		if name == ns && n.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			t.Errorf("namespace %s does not enforce restricted", name)
		}
		out, err := kubectl("label", "--dry-run=server", "--overwrite", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
		must(t, err)
		if strings.Contains(out, "Warning") {
			t.Errorf("pods in %s violate Pod Security restricted: %s", name, out)
		}
	}
}
