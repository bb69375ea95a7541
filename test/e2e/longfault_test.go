package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The TestLongFault… tests take minutes each: make faults runs them, make e2e does not.

// away returns how long the API server is down; FAULT_AWAY overrides it.
func away(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(envOr("FAULT_AWAY", "10m"))
	must(t, err)
	return d
}

// Without an API server for minutes, logins continue, daemons that die come back, and everything recovers soon after the API
// server returns: the operator has not crashed itself into a long back-off.
func TestLongFaultAPIServerAway(t *testing.T) {
	f := newFault(t, "away", withTwoPods)
	waitTwoPods(t, f.listener)
	other := &fault{ns: f.ns, key: f.key, listener: newListener(t, f.ns, "other", nil)}
	other.user = newUser(t, other.listener, f.ns, "other", keyAuth(f.key))
	pod := podsOf(t, other.listener)[0]
	restarts := operatorPod(t).Status.ContainerStatuses[0].RestartCount

	killComponent(t, "kube-apiserver")
	limit := away(t)
	start := time.Now()
	time.Sleep(limit / 2)
	node(t, "kill", pod.Namespace+"/"+pod.Name)
	killed := time.Now()
	eventually(t, time.Minute, "a daemon that died comes back without the API server", func() bool {
		_, err := login(t, other.listener, other.user.Name, f.auth())
		return err == nil
	})
	back := time.Since(killed)
	time.Sleep(limit - time.Since(start))
	start = time.Now()
	node(t, "start", "kube-apiserver")
	recovered := f.newUserWorks(t, "late", start, 5*time.Minute)
	restarts = operatorPod(t).Status.ContainerStatuses[0].RestartCount - restarts
	fmt.Printf("FAULT API server away for %s: %s; a daemon killed meanwhile serves again after %s; after the start of the API server a change takes effect within %s; the operator restarted %d times\n",
		limit, f.unharmed(t), seconds(back), seconds(recovered), restarts)
}

// A kubelet is down for so long that the node counts as lost: the pods continue, but the Service leaves them out, and the
// listener is not reported ready.
func TestLongFaultKubeletAway(t *testing.T) {
	f := newFault(t, "lost", nil)
	address := podAddresses(t, f.listener)[0]
	killComponent(t, "kubelet")
	start := time.Now()
	eventually(t, 5*time.Minute, "the listener is no longer reported ready", func() bool {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(f.listener), f.listener))
		return !meta.IsStatusConditionTrue(f.listener.Status.Conditions, v1alpha1.ConditionReady)
	})
	lost := time.Since(start)
	if s, err := loginAt(t, f.listener, address, "", f.user.Name, f.auth()); err != nil {
		t.Errorf("the pod itself does not serve: %v", err)
	} else {
		_ = s.conn.Close()
	}
	node(t, "start", "kubelet")
	start = time.Now()
	waitReady(t, f.listener, 3*time.Minute)
	eventually(t, time.Minute, "a login succeeds", func() bool {
		_, err := login(t, f.listener, f.user.Name, f.auth())
		return err == nil
	})
	recovered := time.Since(start)
	f.sessionsUnharmed(t)
	_, failed := f.comers.stop()
	fmt.Printf("FAULT kubelet away until the node is lost: sessions and uploads continue, the listener is not Ready after %s, and new logins through the Service fail for %s (%d did); %s after its start everything works\n",
		seconds(lost), seconds(f.comers.out), len(failed), seconds(recovered))
}

// A full etcd rejects changes and gives the reason; logins continue. Once someone has made room, changes take effect without
// further action.
func TestLongFaultEtcdFull(t *testing.T) {
	f := newFault(t, "etcd", nil)
	killComponent(t, "etcd")
	node(t, "start", "etcd", fmt.Sprintf("--quota-backend-bytes=%d", 96<<20))
	t.Cleanup(func() {
		for _, args := range [][]string{{"kill", "etcd"}, {"start", "etcd"}, {"recover-etcd"}} {
			if err := tryNode(args...); err != nil {
				t.Errorf("repair etcd: %v", err)
			}
		}
	})
	ballast := func(i int) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: fmt.Sprintf("ballast-%d", i)},
			BinaryData: map[string][]byte{"data": bytes.Repeat([]byte{1}, 700_000)},
		}
	}
	made := 0
	eventually(t, 5*time.Minute, "etcd is full", func() bool {
		err := kube.Create(t.Context(), ballast(made))
		if err == nil {
			made++
		}
		return err != nil && strings.Contains(err.Error(), "database space exceeded")
	})
	late := userOf(f.listener, f.ns, "late", keyAuth(f.key))
	if err := kube.Create(t.Context(), late); err == nil || !strings.Contains(err.Error(), "database space exceeded") {
		t.Errorf("a new user is not refused: %v", err)
	}
	time.Sleep(30 * time.Second) // the operator loses its lease, which it cannot write
	f.login(t)
	for i := range made {
		must(t, client.IgnoreNotFound(kube.Delete(t.Context(), ballast(i))))
	}
	node(t, "recover-etcd")
	start := time.Now()
	recovered := f.newUserWorks(t, "late", start, 5*time.Minute)
	fmt.Printf("FAULT etcd out of space: %s; changes are refused with the reason, and take effect %s after there is room\n", f.unharmed(t), seconds(recovered))
}
