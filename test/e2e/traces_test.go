package e2e

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/trace/tracetest"
)

// Sessions of real pods appear as traces at a collector as soon as the listener has its address and a policy, the one in
// docs/monitoring.md, lets its pods reach it. The policy allows nothing else.
func TestTraces(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, "traces", nil)
	l := newListener(t, ns, "partners", nil)
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	pod, pods := podsOf(t, l)[0], podUIDs(t, l)
	observability := newNamespace(t, "observability", nil)
	labels := map[string]string{"app.kubernetes.io/name": "opentelemetry-collector"}
	named := newBystander(t, observability, "collector", labels)
	other := newBystander(t, observability, "other", nil)
	elsewhere := newBystander(t, newNamespace(t, "elsewhere", nil), "collector", labels)
	collector := tracetest.StartOn(t, listenIn(t, named, 4318))
	for _, p := range []*corev1.Pod{other, elsewhere} {
		listenIn(t, p, 4318)
	}
	listenIn(t, named, 4317)

	update(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Tracing = v1alpha1.ListenerTracing{Endpoint: collector.Endpoint}
	})
	waitReady(t, l, 30*time.Second)
	s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
	s.roundTrip(t, "/report.csv", 10_000)
	must(t, s.conn.Close())
	eventually(t, time.Minute, "the pod's log says that traces cannot be sent", func() bool {
		log, err := kubectl("logs", "-n", ns, pod.Name, "--tail=-1")
		must(t, err)
		return strings.Contains(log, "traces cannot be sent")
	})
	if n := collector.Requests(); n != 0 {
		t.Fatalf("%d requests came through the listener's own policy", n)
	}

	manifest := documentedPolicy(t)
	manifest = strings.ReplaceAll(manifest, "metadata.name: observability", "metadata.name: "+observability)
	manifest = strings.ReplaceAll(manifest, "namespace: sftp-demo", "namespace: "+ns)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(file, []byte(manifest), 0o600))
	if out, err := kubectl("apply", "-f", file); err != nil || !strings.Contains(out, "sftp-traces created") {
		t.Fatalf("%v: %s", err, out)
	}
	// What was collected in the meantime was kept. The pod retries after a minute at the latest.
	eventually(t, 2*time.Minute, "the spans arrive", func() bool { return len(collector.Spans()) >= 4 })
	var names []string
	for _, span := range collector.Spans() {
		names = append(names, span.GetName())
		if span.Resource["service.instance.id"] != pod.Name || span.Resource["service.name"] != "partners" {
			t.Errorf("%s comes from %v, want pod %s", span.GetName(), span.Resource, pod.Name)
		}
	}
	slices.Sort(names)
	if want := []string{"download", "login", "sftp session", "upload"}; !slices.Equal(names, want) {
		t.Errorf("spans %q, want %q", names, want)
	}
	if !maps.Equal(pods, podUIDs(t, l)) {
		t.Error("pods were replaced")
	}

	reaches(t, &pod, net.JoinHostPort(named.Status.PodIP, "4318"), "the collector")
	for what, address := range map[string]string{
		"another port of the collector": net.JoinHostPort(named.Status.PodIP, "4317"),
		"another pod of its namespace":  net.JoinHostPort(other.Status.PodIP, "4318"),
		"a pod in another namespace":    net.JoinHostPort(elsewhere.Status.PodIP, "4318"),
		"the API server's Service":      apiServer(t),
	} {
		reachesNot(t, &pod, address, what)
	}
}

// documentedPolicy returns the manifest in docs/monitoring.md.
func documentedPolicy(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/monitoring.md")
	must(t, err)
	const begin = "```yaml\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	_, manifest, found := strings.Cut(string(page), begin)
	manifest, _, ended := strings.Cut(manifest, "```")
	if !found || !ended {
		t.Fatal("docs/monitoring.md has no NetworkPolicy")
	}
	return strings.TrimPrefix(begin, "```yaml\n") + manifest
}
