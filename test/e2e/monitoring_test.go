package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/monitoring"
)

// The metrics that the operator and a listener's pod serve on the node match the documents, rules and dashboard; the operator
// serves them only to clients that may read them.
func TestMonitoring(t *testing.T) {
	ns := newNamespace(t, "monitoring", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{
			Name: "jobs", ServiceRef: &v1alpha1.EventServiceReference{Name: "receiver", Port: 80}, // which does not exist: events wait
		}}}
		s.Uploads = v1alpha1.ListenerUploads{
			Publish: v1alpha1.PublishOnClose, Checksum: v1alpha1.ChecksumSHA256, Receipts: &v1alpha1.UploadReceipts{},
		}
		s.Retention = v1alpha1.ListenerRetention{Rules: []v1alpha1.RetentionRule{{Name: "old", Volume: "data", DeleteAfterSeconds: 7 * 24 * 3600}}}
	})
	k, lost := newKey(t), newKey(t)
	newUser(t, l, ns, "acme", keyAuth(k))
	gone := newUser(t, l, ns, "gone", keyAuth(lost))
	if _, err := login(t, l, "acme", ssh.Password("wrong")); err == nil {
		t.Error("logged in")
	}
	s := mustLogin(t, l, "acme", ssh.PublicKeys(k.signer))
	s.roundTrip(t, "file", 10_000)
	must(t, s.Mkdir("directory"))
	eventually(t, time.Minute, "the upload's receipt and its signature", func() bool {
		list, err := s.ReadDir("/.receipts")
		return err == nil && len(list) >= 2
	})
	doomed := mustLogin(t, l, "gone", ssh.PublicKeys(lost.signer))
	doomed.closedAfter(t, update(t, gone, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended }))
	monitoring.CertifyHostKey(t, kube, l) // only now: our client would not know the CA

	pod := podsOf(t, l)[0].Name
	var daemon string
	eventually(t, 2*time.Minute, "a session that was revoked, and a run of retention", func() bool {
		_, daemon = scrape(t, ns, "pod/"+pod, 8081, "http", "")
		return strings.Contains(daemon, "sftpd_revocations_total{") && strings.Contains(daemon, "sftpd_retention_halted{")
	})
	operator := "deployment/" + operatorDeployment(t)
	if status, body := scrape(t, operatorNamespace, operator, 8443, "https", ""); status == http.StatusOK {
		t.Errorf("the operator shows its metrics to anyone: %s", body)
	}
	var text string
	token := readerToken(t, ns)
	eventually(t, 2*time.Minute, "the host certificate in the operator's metrics", func() bool {
		var status int
		if status, text = scrape(t, operatorNamespace, operator, 8443, "https", token); status != http.StatusOK {
			t.Fatalf("scrape of the operator: %d: %s", status, text)
		}
		return strings.Contains(text, "sftp_operator_host_certificate_expiration_timestamp_seconds{")
	})
	if series := fmt.Sprintf(`sftp_operator_listener_ready{listener="partners",namespace=%q} 1`, ns); !strings.Contains(text, series) {
		t.Errorf("the operator does not serve %s", series)
	}
	monitoring.CheckScrapes(t, daemon, text, "acme")
}

// readerToken returns a token of an account that may read the operator's metrics, and nothing else.
func readerToken(t *testing.T, ns string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "prometheus"}}
	must(t, kube.Create(t.Context(), account))
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "sftp-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: account.Name}},
	}
	must(t, kube.Create(t.Context(), binding))
	t.Cleanup(func() { must(t, client.IgnoreNotFound(kube.Delete(context.Background(), binding))) })
	request, err := clientset.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return request.Status.Token
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// scrape reads the metrics of a pod through a forwarded port.
func scrape(t *testing.T, ns, target string, port int, scheme, token string) (status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv("KUBECTL"), "port-forward", "-n", ns, target, fmt.Sprintf(":%d", port))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { cancel(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwarding.FindStringSubmatch(lines.Text()); m != nil {
			return fetch(ctx, t, scheme+"://"+m[1]+"/metrics", token)
		}
	}
	t.Fatalf("kubectl port-forward %s ended: %v", target, lines.Err())
	return 0, ""
}

func fetch(ctx context.Context, t *testing.T, url, token string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// The operator creates its own certificate at each start, which the ServiceMonitor accepts.
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	answer, err := c.Do(request)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(body)
}
