package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// dropped is how long a test waits before a connection counts as dropped. One that a policy allows takes a millisecond.
const dropped = 3 * time.Second

// newBystander starts a pod that does nothing. Tests open and accept connections in its network.
func newBystander(t *testing.T, ns, name string, labels map[string]string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  new(false),
			TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "pause", Image: "localhost/sftp-operator-pause:1", ImagePullPolicy: corev1.PullNever,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	must(t, kube.Create(t.Context(), pod))
	t.Cleanup(func() { _ = kube.Delete(context.Background(), pod) }) // it may have been deleted with its namespace
	eventually(t, time.Minute, "pod "+ns+"/"+name+" runs", func() bool {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
		return pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != ""
	})
	return pod
}

// inPod runs a function in a pod's network: sockets that it creates, in the same goroutine, are the pod's.
func inPod(t *testing.T, pod *corev1.Pod, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("entering a pod's network needs root")
		}
		t.Skip("needs root, to enter a pod's network")
	}
	program := strings.Fields(os.Getenv("CLUSTER"))
	if len(program) == 0 {
		t.Fatal("CLUSTER is not set; run the tests with make e2e")
	}
	path, err := output(time.Minute, program[0], slices.Concat(program[1:], []string{"netns", pod.Namespace + "/" + pod.Name})...)
	must(t, err)
	network, err := os.Open(strings.TrimSpace(path))
	must(t, err)
	defer network.Close()
	done := make(chan error, 1)
	go func() {
		// The thread is not unlocked, so it ends with the goroutine: no other goroutine must run in the pod.
		runtime.LockOSThread()
		if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		do()
		done <- nil
	}()
	must(t, <-done)
}

// dialFrom connects from a pod.
func dialFrom(t *testing.T, pod *corev1.Pod, network, address string) (c net.Conn, err error) {
	t.Helper()
	inPod(t, pod, func() {
		d := net.Dialer{Timeout: dropped}
		c, err = d.DialContext(t.Context(), network, address)
	})
	return c, err
}

// listenIn accepts connections in a pod until the test ends.
func listenIn(t *testing.T, pod *corev1.Pod, port int) (l net.Listener) {
	t.Helper()
	var err error
	inPod(t, pod, func() {
		var lc net.ListenConfig
		l, err = lc.Listen(t.Context(), "tcp4", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)))
	})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// reaches checks that a pod can connect. A new policy, or one for a new pod, takes a moment to apply.
func reaches(t *testing.T, pod *corev1.Pod, address, what string) {
	t.Helper()
	var err error
	for range 5 {
		var c net.Conn
		if c, err = dialFrom(t, pod, "tcp", address); err == nil {
			c.Close()
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s/%s cannot connect to %s: %v", pod.Namespace, pod.Name, what, err)
}

// reachesNot checks that packets of a pod are dropped: any answer, even a refusal, would come from the other side. A new policy
// takes a moment to apply.
func reachesNot(t *testing.T, pod *corev1.Pod, address, what string) {
	t.Helper()
	var err error
	for range 5 {
		var c net.Conn
		if c, err = dialFrom(t, pod, "tcp", address); err == nil {
			c.Close()
		} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("packets of %s/%s to %s are not dropped: %v", pod.Namespace, pod.Name, what, err)
}
