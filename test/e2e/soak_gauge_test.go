package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// gauge watches a process through its metrics.
type gauge struct {
	url, token string
	client     http.Client

	mu      sync.Mutex
	samples []sample // mu guards it
}

// sample is memory in bytes, and goroutines.
type sample struct{ memory, goroutines float64 }

func newGauge(scheme string, pod *corev1.Pod, port, token string) *gauge {
	return &gauge{
		url: scheme + "://" + net.JoinHostPort(pod.Status.PodIP, port) + "/metrics", token: token,
		client: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is the operator's own
		}},
	}
}

// operatorGauge watches the operator, like a Prometheus server that may read its metrics.
func operatorGauge(t *testing.T) *gauge {
	t.Helper()
	const name = "soak-metrics"
	for _, o := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}},
		&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
		},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: name}},
		},
	} {
		must(t, kube.Create(t.Context(), o))
		t.Cleanup(func() { _ = kube.Delete(context.Background(), o) }) // the cluster is removed after the tests
	}
	token, err := clientset.CoreV1().ServiceAccounts(operatorNamespace).CreateToken(t.Context(), name, &authv1.TokenRequest{
		Spec: authv1.TokenRequestSpec{ExpirationSeconds: new(int64(4 * 3600))},
	}, metav1.CreateOptions{})
	must(t, err)
	var pods corev1.PodList
	must(t, kube.List(t.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "sftp-operator"}))
	if len(pods.Items) != 1 {
		t.Fatalf("%d pods of the operator, want 1", len(pods.Items))
	}
	return newGauge("https", &pods.Items[0], "8443", token.Status.Token)
}

// watch samples gauges until the time is up.
func (s *soak) watch(ctx context.Context, gauges ...*gauge) {
	for ; ctx.Err() == nil; idle(ctx, 2*time.Second) {
		for _, g := range gauges {
			if err := g.read(ctx); err != nil && ctx.Err() == nil {
				s.problem("%s: %v", g.url, err)
			}
		}
	}
}

func (g *gauge) read(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, http.NoBody)
	if err != nil {
		return err
	}
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var now sample
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "process_resident_memory_bytes":
			now.memory, err = strconv.ParseFloat(value, 64)
		case "go_goroutines":
			now.goroutines, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return err
		}
	}
	if now.memory == 0 || now.goroutines == 0 {
		return fmt.Errorf("answered %s without memory and goroutines", resp.Status)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.samples = append(g.samples, now)
	return lines.Err()
}

// thirds returns the means of the second and the last third of the samples. The first third is for warming up.
func (g *gauge) thirds() (before, after sample) {
	n := len(g.samples) / 3
	mean := func(samples []sample) (m sample) {
		for _, s := range samples {
			m.memory += s.memory / float64(len(samples))
			m.goroutines += s.goroutines / float64(len(samples))
		}
		return m
	}
	return mean(g.samples[n : 2*n]), mean(g.samples[2*n:])
}

// mustBeFlat fails if a process grew. A leak grows with each of thousands of changes and files; a third, or
// the effect of one garbage collection more or less, is not a leak.
func (g *gauge) mustBeFlat(t *testing.T, name string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.samples) < 9 {
		t.Errorf("%s was sampled only %d times", name, len(g.samples))
		return
	}
	const someMemory, someGoroutines = 32 << 20, 30
	before, after := g.thirds()
	if after.memory > before.memory*1.33+someMemory || after.goroutines > before.goroutines*1.33+someGoroutines {
		t.Errorf("%s grew: %s", name, g)
	}
}

func (g *gauge) String() string {
	before, after := g.thirds()
	return fmt.Sprintf("%.1f → %.1f MiB, %.0f → %.0f goroutines (means of the second and the last third of %d samples)",
		before.memory/(1<<20), after.memory/(1<<20), before.goroutines, after.goroutines, len(g.samples))
}
