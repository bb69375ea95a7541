package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubelet plays a node's kubelet for the requests that the API server passes on: port forwarding and logs.
type kubelet struct {
	// forwards and logs are the pods' data: an address behind each port, and the log lines of their container.
	forwards map[string]string
	logs     map[string]string
	mu       sync.Mutex // guards logs
}

func (k *kubelet) put(path, log string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logs[path] = log
}

func (k *kubelet) log(path string) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	log, ok := k.logs[path]
	return log, ok
}

// startKubelet registers a node.
func startKubelet(t *testing.T, node string) *kubelet {
	t.Helper()
	k := &kubelet{forwards: map[string]string{}, logs: map[string]string{}}
	server := httptest.NewTLSServer(k)
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	o := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(n)}},
	}}
	create(t, o)
	return k
}

// pod creates a ready pod of a listener on the node.
func (k *kubelet) pod(t *testing.T, ns, listener, node, forward, log string) {
	t.Helper()
	name := listener + "-sftp-0"
	k.forwards["/portForward/"+ns+"/"+name] = forward
	k.put("/containerLogs/"+ns+"/"+name+"/sftpd", log)
	create(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: name,
			Labels: map[string]string{"sftp-operator.io/listener": listener},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "sftpd", Image: "sftp-operator:test"}}},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	})
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if log, ok := k.log(r.URL.Path); ok {
		fmt.Fprint(w, log)
		return
	}
	address, ok := k.forwards[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return // it has answered
	}
	defer conn.Close()
	errors := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				errors[id] = s // it comes first
				continue
			}
			go splice(s, errors[id], address)
		}
	}
}

func splice(data, errors httpstream.Stream, address string) {
	defer errors.Close()
	defer data.Close()
	if !strings.Contains(address, ":") {
		fmt.Fprint(errors, "no one listens there")
		return
	}
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		fmt.Fprint(errors, err)
		return
	}
	defer conn.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(conn, data)
		_ = conn.(*net.TCPConn).CloseWrite()
	})
	both.Go(func() {
		_, _ = io.Copy(data, conn)
		data.Close()
	})
	both.Wait()
}
