package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

var shellBlock = regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n")

// The lines that docs/auditors.md looks for in the audit log; docs/audit-log.md says what is in them.
const auditLines = `{"event":"login","result":"ok","time":"2026-11-22T17:42:34.111Z","account":"sftp-demo/acme","user":"acme","source":"192.0.2.7:60734","key_fingerprint":"SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"}
{"event":"session_revoked","result":"ok","time":"2026-11-22T17:43:00Z","user":"acme","reason":"key_revoked","key_fingerprint":"SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"}
{"event":"login_refused","result":"refused","time":"2026-11-22T17:44:00Z","user":"acme","source":"192.0.2.7:60735","reason":"key_revoked"}
`

// Each command of docs/auditors.md works, and its block finds something where there is something to find.
func TestAuditorsQueries(t *testing.T) {
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sftp-demo"}})
	cleanUp(t, "sftp-demo")
	l := readyListener(t, "sftp-demo", func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: publicKey("lost")}}
		l.Spec.Authentication.TrustedUserCAs = []string{publicKey("ca")}
	})
	acme := newUser(l.Namespace, "acme", func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.Certificates = v1alpha1.CertificatesAccepted
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, publicKey("shared"), publicKey("lost"))
	})
	create(t, acme)
	create(t, newUser(l.Namespace, "globex", func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.AuthorizedKeys = []string{publicKey("shared")} }))
	for _, name := range []string{"nightly", "unowned"} {
		k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: name}, Spec: v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient}}
		if name == "nightly" {
			k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: "acme"}
		}
		create(t, k)
		waitFor(t, k, "Ready", "True", "Ready", "")
	}
	keyOf(t, acme, fingerprint(t, "lost"), v1alpha1.KeyRevoked)

	dir := workbench(t)
	for i, block := range blocksOf(t, "auditors.md") {
		t.Run(fmt.Sprintf("block %d", i+1), func(t *testing.T) {
			out, problems, err := shell(t, dir, block)
			if err != nil || out == "" || strings.Contains(out, "null") {
				t.Errorf("%s\n%v: %s%s", block, err, out, problems)
			}
		})
	}
}

// What runbooks say to look at can be looked at. Logs and what nodes measure need a kubelet: of these lines the grammar alone
// is checked.
func TestRunbookCommands(t *testing.T) {
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "files"}})
	cleanUp(t, "files")
	create(t, newUser(readyListener(t, "files").Namespace, "acme"))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelHostname: "node-1"}}}
	create(t, node)
	t.Cleanup(func() { _ = api.Delete(context.Background(), node) })
	dir := workbench(t)
	for _, block := range blocksOf(t, "runbooks.md") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if strings.Contains(line, "kubectl logs") || strings.Contains(line, "kubectl top") {
				line = "if false; then " + line + "; fi"
			}
			_, problems, err := shell(t, dir, line)
			var ended *exec.ExitError
			told := errors.As(err, &ended) && (strings.HasPrefix(line, "kubectl auth can-i ") && ended.ExitCode() == 1 || // no
				strings.HasPrefix(line, "kubectl sftp why ") && ended.ExitCode() == 4) // not all could be checked
			if err != nil && !told {
				t.Errorf("%s\n%v: %s", line, err, problems)
			}
		}
	}
}

// workbench is a directory with what the commands of documents need.
func workbench(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "kubectl-sftp"), "./cmd/kubectl-sftp")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, data := range map[string]string{"audit.jsonl": auditLines, "kubeconfig": string(kubeconfig)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func blocksOf(t *testing.T, page string) []string {
	t.Helper()
	root, err := apiserver.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		out = append(out, b[1])
	}
	if len(out) < 10 {
		t.Fatalf("%s has %d blocks", page, len(out))
	}
	return out
}

func shell(t *testing.T, dir, script string) (out, problems string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"), "PATH="+dir+":"+assets+":"+os.Getenv("PATH"))
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	return string(output), said.String(), err
}
