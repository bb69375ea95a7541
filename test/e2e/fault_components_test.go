package e2e

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// componentAway is how long a component is down, as with a process manager that waits before restarting it.
const componentAway = 5 * time.Second

// keptFor is how long a Service must keep its pods for the test to be sure.
const keptFor = 12 * time.Second

// Killing a component of the node does not affect SFTP users. Changes made in the meantime arrive when it is back, and are not
// reported as delivered before that.
func TestFaultComponentKilled(t *testing.T) {
	f := newFault(t, "component", withTwoPods)
	waitTwoPods(t, f.listener)
	f.comers.stop()
	for i, c := range []struct {
		name string
		// serves means that the API keeps working without it.
		serves bool
		// refuses means that the node may count as not ready without it, or when it starts: its Service then leaves out the pods,
		// and new connections are refused where there is no other node.
		refuses bool
	}{
		{"kubelet", true, true},
		{"containerd", true, true},
		{"kube-apiserver", false, false},
		{"etcd", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.begin(t)
			early := userOf(f.listener, f.ns, fmt.Sprintf("early-%d", i), keyAuth(f.key))
			killComponent(t, c.name)
			if c.serves {
				must(t, kube.Create(t.Context(), early))
			}
			time.Sleep(componentAway)
			if c.serves {
				truthful(t, f, early)
			}
			start := time.Now()
			node(t, "start", c.name)
			recovered := f.newUserWorks(t, fmt.Sprintf("late-%d", i), start, 3*time.Minute)
			if c.serves {
				waitReady(t, early, time.Minute)
			}
			noticed := f.noticed(t, c.refuses)
			fmt.Printf("FAULT %s kill -9, started again after %s: %s; a change takes effect %s after the start\n",
				c.name, componentAway, noticed, seconds(recovered))
		})
	}
}

// noticed reports what users noticed; in every case, no session may have ended.
func (f *fault) noticed(t *testing.T, mayRefuse bool) string {
	t.Helper()
	if !mayRefuse {
		return f.unharmed(t)
	}
	// This happens not right after the component's start, but with the node's next heartbeats, seconds later.
	var since time.Time
	eventually(t, 2*time.Minute, "the Service has the pods, and keeps them", func() bool {
		time.Sleep(200 * time.Millisecond)
		s, err := login(t, f.listener, f.user.Name, f.auth())
		if err != nil {
			since = time.Time{}
			return false
		}
		_ = s.conn.Close()
		if since.IsZero() {
			since = time.Now()
		}
		return time.Since(since) > keptFor
	})
	f.sessionsUnharmed(t)
	logins, failed := f.comers.stop()
	return fmt.Sprintf("%d of %d logins, the live session and an upload of %d MiB continue; for %s, no login through the Service of a single node",
		logins-len(failed), logins, faultMiB, seconds(f.comers.out))
}

// truthful checks that a user who is reported ready can log in on every pod.
func truthful(t *testing.T, f *fault, u *v1alpha1.SFTPUser) {
	t.Helper()
	now := &v1alpha1.SFTPUser{}
	must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(u), now))
	if !isReady(now) {
		return
	}
	for _, pod := range podAddresses(t, f.listener) {
		s, err := loginAt(t, f.listener, pod, "", u.Name, f.auth())
		if err != nil {
			t.Errorf("user %s is reported ready but cannot log in at %s: %v", u.Name, pod, err)
			continue
		}
		_ = s.conn.Close()
	}
}

// Killing the operator does not affect users. A login that was removed in the meantime ends when another operator has acquired
// the lease.
func TestFaultOperatorKilled(t *testing.T) {
	f := newFault(t, "operator", nil)
	second := newUser(t, f.listener, f.ns, "second", keyAuth(f.key))
	gone := mustLogin(t, f.listener, second.Name, f.auth())
	pod := operatorPod(t)

	start := time.Now()
	node(t, "kill", operatorNamespace+"/"+pod.Name)
	update(t, second, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	revoked := gone.closedAfter(t, start)
	if revoked > 30*time.Second {
		t.Errorf("the revocation took %s", revoked)
	}
	waitCondition(t, second, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonSuspended, 10*time.Second)
	after := operatorPod(t)
	if after.UID != pod.UID || after.Status.ContainerStatuses[0].RestartCount == pod.Status.ContainerStatuses[0].RestartCount {
		t.Errorf("the operator was not killed: %+v", after.Status.ContainerStatuses)
	}
	noticed := f.unharmed(t)
	fmt.Printf("FAULT operator kill -9: %s; a login that was removed at once ends %s after the kill\n", noticed, seconds(revoked))
}

func operatorPod(t *testing.T) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	must(t, kube.List(t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"}))
	if len(pods.Items) != 1 {
		t.Fatalf("the operator has %d pods", len(pods.Items))
	}
	return &pods.Items[0]
}

// Killing the daemon ends its sessions; clients reconnect within seconds, find the same host key, and resume their uploads. The
// status reports the outage.
func TestFaultDaemonKilled(t *testing.T) {
	f := newFault(t, "daemon", nil)
	history := watchReady(t, f.listener)
	pod := podsOf(t, f.listener)[0]

	start := time.Now()
	node(t, "kill", f.ns+"/"+pod.Name)
	f.live.closedAfter(t, start)
	var again *session
	eventually(t, time.Minute, "a login succeeds", func() bool {
		var err error
		again, err = login(t, f.listener, f.user.Name, f.auth())
		return err == nil
	})
	back := time.Since(start)
	if err := f.upload.finishWithin(30 * time.Second); err == nil {
		t.Error("an upload to a killed daemon ended without an error")
	}
	resumed := resume(t, again, f.source, "upload")
	f.intact(t)
	waitReady(t, f.listener, 30*time.Second)
	if after := podsOf(t, f.listener); len(after) != 1 || after[0].UID != pod.UID || after[0].Status.ContainerStatuses[0].RestartCount != 1 {
		t.Errorf("pods: %v", after)
	}
	if lost, without := history.stop(); !lost && without > 5*time.Second { // a shorter outage may be over before the operator polls
		t.Errorf("the listener was reported ready all the time, but no pod was ready for %s", without)
	}
	fmt.Printf("FAULT daemon kill -9: sessions break, the next login succeeds after %s with the same host key, an upload continues at byte %d and is complete\n", seconds(back), resumed)
}

// resume appends the missing part of a file, as put -a does, and returns the offset at which it resumed.
func resume(t *testing.T, s *session, source, name string) int64 {
	t.Helper()
	info, err := s.Stat(name)
	must(t, err)
	if info.Size() == 0 {
		t.Fatal("nothing was uploaded")
	}
	in, err := os.Open(source)
	must(t, err)
	defer in.Close()
	out, err := s.OpenFile(name, os.O_WRONLY)
	must(t, err)
	for _, f := range []io.Seeker{in, out} {
		_, err = f.Seek(info.Size(), io.SeekStart)
		must(t, err)
	}
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
	return info.Size()
}

// readyHistory records whether a listener stopped being ready, and for how long its only pod was not ready.
type readyHistory struct {
	ended   chan struct{}
	done    chan struct{}
	lost    bool
	without time.Duration
}

func watchReady(t *testing.T, l *v1alpha1.SFTPListener) *readyHistory {
	t.Helper()
	h := &readyHistory{ended: make(chan struct{}), done: make(chan struct{})}
	listeners, err := kube.Watch(t.Context(), &v1alpha1.SFTPListenerList{}, client.InNamespace(l.Namespace))
	must(t, err)
	pods, err := kube.Watch(t.Context(), &corev1.PodList{}, client.InNamespace(l.Namespace), client.MatchingLabels{v1alpha1.LabelListener: l.Name})
	must(t, err)
	go func() {
		defer close(h.done)
		defer listeners.Stop()
		defer pods.Stop()
		var unready time.Time // since when the pod has not been ready
		for {
			select {
			case <-h.ended:
				return
			case e := <-listeners.ResultChan():
				now, ok := e.Object.(*v1alpha1.SFTPListener)
				if !ok {
					return
				}
				h.lost = h.lost || now.Name == l.Name && !meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionReady)
			case e := <-pods.ResultChan():
				now, ok := e.Object.(*corev1.Pod)
				if !ok {
					return
				}
				switch ready := readyPod(now); {
				case !ready && unready.IsZero():
					unready = time.Now()
				case ready && !unready.IsZero():
					h.without, unready = max(h.without, time.Since(unready)), time.Time{}
				}
			}
		}
	}()
	return h
}

// stop returns whether the listener was not ready at any time, and for how long the pod was not.
func (h *readyHistory) stop() (lost bool, without time.Duration) {
	close(h.ended)
	<-h.done
	return h.lost, h.without
}
