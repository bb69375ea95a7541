package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// cutOff drops packets to and from a pod's port, from everywhere or from one address, until the returned function is called or
// the test ends.
func cutOff(t *testing.T, address string, from ...string) (mend func()) {
	t.Helper()
	node(t, append([]string{"cut", address}, from...)...)
	t.Cleanup(func() {
		_ = tryNode("mend") // there is usually nothing to restore
	})
	return func() { node(t, "mend") }
}

// A network outage stops an upload without breaking it. A client that does not wait reconnects and resumes its upload.
func TestFaultNetworkCut(t *testing.T) {
	const away = 12 * time.Second
	f := newFault(t, "network", nil)
	f.comers.stop()
	second := newUser(t, f.listener, f.ns, "second", keyAuth(f.key))
	impatient := mustLogin(t, f.listener, second.Name, f.auth())
	given := startSlowUpload(t, impatient, f.source, "given-up", faultFirst)
	given.wait(t)

	mend := cutOff(t, podAddresses(t, f.listener)[0])
	start := time.Now()
	time.Sleep(away / 2)
	_ = impatient.conn.Close() // only its side: nothing arrives at the pod
	if err := given.finishWithin(10 * time.Second); err == nil {
		t.Error("an abandoned upload ended without an error")
	}
	time.Sleep(away - time.Since(start))
	mend()
	start = time.Now()
	f.upload.release()
	if err := f.upload.finish(); err != nil {
		t.Errorf("the upload broke: %v", err)
	}
	took := time.Since(start)
	f.intact(t)
	if !f.live.alive() {
		t.Error("the live session ended")
	}
	again := mustLogin(t, f.listener, second.Name, f.auth())
	resumed := resume(t, again, f.source, "given-up")
	if got, want := again.sha256(t, "given-up"), sha256File(t, f.source); got != want {
		t.Errorf("sha256 of the resumed upload is %s, sent was %s", got, want)
	}
	fmt.Printf("FAULT network cut for %s in the middle of an upload: it continues and is complete %s after the network is back, sessions stay; an abandoned one is resumed at byte %d\n",
		away, seconds(took), resumed)
}

// A NetworkPolicy that prevents the operator from reaching pods is reported. Changes arrive, and no user that no pod has
// acknowledged is reported ready.
func TestFaultOperatorCutOff(t *testing.T) {
	f := newFault(t, "policy", nil)
	pod := podsOf(t, f.listener)[0]
	mend := cutOff(t, net.JoinHostPort(pod.Status.PodIP, "8081"), operatorPod(t).Status.PodIP)

	u := userOf(f.listener, f.ns, "unheard", keyAuth(f.key))
	must(t, kube.Create(t.Context(), u))
	message := waitCondition(t, f.listener, v1alpha1.ConditionProgrammed, metav1.ConditionUnknown, v1alpha1.ReasonPodUnreachable, time.Minute)
	if !strings.Contains(message, "check NetworkPolicies") {
		t.Errorf("the message does not say what to do: %s", message)
	}
	eventually(t, time.Minute, "the user still logs in", func() bool {
		_, err := login(t, f.listener, u.Name, f.auth())
		return err == nil
	})
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(u), u))
	if isReady(u) {
		t.Error("the user is reported ready, but no pod has acknowledged it")
	}
	mend()
	start := time.Now()
	waitReady(t, u, time.Minute)
	took := time.Since(start)
	fmt.Printf("FAULT NetworkPolicy between operator and pods: %s; Programmed=Unknown/PodUnreachable, new logins work and are Ready %s after it is gone\n",
		f.unharmed(t), seconds(took))
}
