//go:build upgrade

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// TestUpgrade upgrades from an earlier version's chart and image to those of this tree, one listener at a time: host keys stay,
// an upload in progress completes, and sessions only end by draining.
func TestUpgrade(t *testing.T) {
	dumpOnFailure(t, operatorNamespace)
	must(t, uninstallHelm())
	must(t, command(3*time.Minute, os.Getenv("HELM"), "install", "sftp-operator", os.Getenv("PREVIOUS_CHART"),
		"--namespace", operatorNamespace, "--create-namespace", "--wait", "--timeout", "2m",
		"--set", "image.repository="+imageRepository(), "--set", "image.digest=", "--set", "image.tag=previous", "--set", "image.pullPolicy=Never",
		"--set", "maxConcurrentRollouts=1")) // the upgrade keeps it

	ns := newNamespace(t, "upgrade", nil)
	shared := func(replicas int32) func(*v1alpha1.SFTPListenerSpec) {
		return func(s *v1alpha1.SFTPListenerSpec) {
			s.Replicas = &replicas
			s.Volumes[0].ClaimTemplate = &v1alpha1.ClaimTemplate{
				Storage: resource.MustParse("1Gi"), AccessModes: []v1alpha1.AccessMode{"ReadWriteMany"},
			}
			s.Shutdown.DrainTimeoutSeconds = new(int32(120))
		}
	}
	fleet := []*v1alpha1.SFTPListener{
		newListener(t, ns, "pair", shared(2)), newListener(t, ns, "single", shared(1)), newListener(t, ns, "exclusive", nil),
	}
	k := newKey(t)
	fingerprints := map[string]string{}
	live := map[string]*session{}
	var logs []*auditLog
	for _, l := range fleet {
		fingerprints[l.Name] = l.Status.HostKeys[0].Fingerprint
		newUser(t, l, ns, l.Name+"-user", keyAuth(k))
		live[l.Name] = mustLogin(t, l, l.Name+"-user", ssh.PublicKeys(k.signer))
		live[l.Name].roundTrip(t, "before", 10_000)
		for _, p := range podsOf(t, l) {
			logs = append(logs, followAudit(t, ns, p.Name))
		}
	}
	source := randomFile(t, 256)
	want := sha256File(t, source)
	uploader := mustLogin(t, fleet[0], "pair-user", ssh.PublicKeys(k.signer))
	upload := startSlowUpload(t, uploader, source, "big", 100<<20)
	upload.wait(t)

	start := time.Now()
	watch := watchRollouts(t, fleet)
	// The commands of docs/upgrading.md.
	must(t, installWithHelm("--reset-then-reuse-values"))
	found, err := kubectl("get", "deployment", "sftp-operator", "-n", operatorNamespace, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	must(t, err)
	_, err = kubectl("wait", "deployment", "-A", "-l", "app.kubernetes.io/name=sftpd",
		"--for=jsonpath={.spec.template.spec.containers[0].image}="+found, "--timeout=100s")
	must(t, err)
	_, err = kubectl("wait", "sftplistener", "--all", "-A", "--for=condition=RolledOut", "--timeout=100s")
	must(t, err)
	for _, l := range fleet {
		waitCondition(t, l, v1alpha1.ConditionRolledOut, "True", v1alpha1.ReasonRolledOut, time.Second)
	}
	if most := watch(); most != 1 {
		t.Errorf("%d listeners were rolled out at a time, want 1", most)
	}
	rolled := time.Since(start)
	if upload.done() {
		t.Fatal("the upload was over before the pods were replaced, so the test proves nothing")
	}
	upload.release()
	if err := upload.finish(); err != nil {
		t.Fatalf("the upload broke: %v", err)
	}
	finished := time.Since(start)

	for _, l := range fleet {
		waitReady(t, l, time.Minute)
		if got := l.Status.HostKeys[0].Fingerprint; got != fingerprints[l.Name] {
			t.Errorf("the host key of %s was %s and is now %s", l.Name, fingerprints[l.Name], got)
		}
		if got := imageOf(t, l); got != image {
			t.Errorf("%s has the image %s", l.Name, got)
		}
		u := &v1alpha1.SFTPUser{}
		must(t, kube.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: l.Name + "-user"}, u))
		waitReady(t, u, time.Minute)
		s := mustLogin(t, l, l.Name+"-user", ssh.PublicKeys(k.signer))
		if _, err := s.Stat("before"); err != nil {
			t.Errorf("a file of %s from before the upgrade: %v", l.Name, err)
		}
		s.roundTrip(t, "after", 10_000)
		select {
		case <-live[l.Name].closed:
		case <-time.After(30 * time.Second):
			t.Errorf("a session of %s outlived its pod", l.Name)
		}
	}
	fresh := mustLogin(t, fleet[0], "pair-user", ssh.PublicKeys(k.signer))
	f, err := fresh.Open("big")
	must(t, err)
	copied := filepath.Join(t.TempDir(), "copy")
	out, err := os.Create(copied)
	must(t, err)
	_, err = io.Copy(out, f)
	must(t, err)
	must(t, out.Close())
	if got := sha256File(t, copied); got != want {
		t.Errorf("sha256 is %s, sent was %s", got, want)
	}
	ended := 0
	for _, l := range logs {
		for _, reason := range l.logouts(t) {
			ended++
			if reason != "shutting_down" {
				t.Errorf("a session ended with the reason %q", reason)
			}
		}
	}
	if ended != len(fleet)+1 {
		t.Errorf("%d sessions ended, want those of %d listeners and the one of the upload", ended, len(fleet))
	}
	fmt.Printf("UPGRADE from %s: %d listeners one at a time in %s, 256 MiB upload continued and was complete after %s (sha256 %s), %d sessions ended by the drain\n",
		os.Getenv("PREVIOUS_VERSION"), len(fleet), rolled.Round(100*time.Millisecond), finished.Round(100*time.Millisecond), want, ended)
}

// imageOf returns the image of a listener's Deployment.
func imageOf(t *testing.T, l *v1alpha1.SFTPListener) string {
	t.Helper()
	d := &appsv1.Deployment{}
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: l.Namespace, Name: l.Name + "-sftp"}, d))
	return d.Spec.Template.Spec.Containers[0].Image
}

// watchRollouts watches the Deployments until its result is called, which returns the largest number of concurrent rollouts.
func watchRollouts(t *testing.T, fleet []*v1alpha1.SFTPListener) func() int {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	most := 0
	go func() {
		defer close(stopped)
		for {
			busy := 0
			var list appsv1.DeploymentList
			if err := kube.List(context.Background(), &list, client.InNamespace(fleet[0].Namespace)); err == nil {
				for i := range list.Items {
					if d := &list.Items[i]; d.Spec.Template.Spec.Containers[0].Image == image && rollout.Rolling(d) {
						busy++
					}
				}
			}
			most = max(most, busy)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() int {
		close(stop)
		<-stopped
		return most
	}
}

// auditLog returns the log of a pod until it ends.
type auditLog struct {
	pod  string
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func followAudit(t *testing.T, ns, pod string) *auditLog {
	t.Helper()
	l := &auditLog{pod: pod, done: make(chan struct{})}
	cmd := exec.CommandContext(t.Context(), os.Getenv("KUBECTL"), "-n", ns, "logs", "--follow", pod)
	cmd.Stdout = l
	must(t, cmd.Start())
	go func() {
		defer close(l.done)
		_ = cmd.Wait() // it ends with the pod
	}()
	return l
}

// Write implements io.Writer.
func (l *auditLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// logouts returns the reasons for which sessions ended.
func (l *auditLog) logouts(t *testing.T) []string {
	t.Helper()
	select {
	case <-l.done:
	case <-time.After(time.Minute):
		t.Errorf("pod %s has not ended", l.pod)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var reasons []string
	for line := range bytes.Lines(l.out.Bytes()) {
		var e struct{ Event, Reason string }
		if json.Unmarshal(line, &e) == nil && e.Event == "logout" {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}
