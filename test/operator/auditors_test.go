package operator

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
	"github.com/sftp-operator/sftp-operator/test/pages"
)

// auditLines has the lines that docs/auditors.md searches the audit log for; docs/audit-log.md describes their content.
const auditLines = `{"event":"login","result":"ok","time":"2026-11-22T17:42:34.111Z","account":"sftp-demo/acme","user":"acme","source":"192.0.2.7:60734","key_fingerprint":"SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"}
{"event":"session_revoked","result":"ok","time":"2026-11-22T17:43:00Z","user":"acme","reason":"key_revoked","key_fingerprint":"SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"}
{"event":"login_refused","result":"refused","time":"2026-11-22T17:44:00Z","user":"acme","source":"192.0.2.7:60735","reason":"key_revoked"}
`

// Each command in docs/auditors.md works, and its block finds something where there is something to find.
func TestAuditorsQueries(t *testing.T) {
	demoNamespace(t)
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
	for i, block := range blocksOf(t, "docs/auditors.md") {
		t.Run(fmt.Sprintf("block %d", i+1), func(t *testing.T) {
			out, problems, err := shell(t, dir, block)
			if err != nil || out == "" || strings.Contains(out, "null") {
				t.Errorf("%s\n%v: %s%s", block, err, out, problems)
			}
		})
	}
}

// What the runbooks say to check can be checked.
func TestRunbookCommands(t *testing.T) {
	demoNamespace(t)
	create(t, newUser(readyListener(t, "sftp-demo").Namespace, "acme"))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelHostname: "node-1"}}}
	create(t, node)
	t.Cleanup(func() { _ = api.Delete(context.Background(), node) })
	dir := workbench(t)
	for _, c := range commandsOf(t, "docs/runbooks.md") {
		runDocumented(t, dir, c)
	}
}

// demoNamespace empties the namespace of the commands in documents, which several tests use.
func demoNamespace(t *testing.T) {
	t.Helper()
	err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sftp-demo"}})
	if client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	wipe(t, "sftp-demo")
	cleanUp(t, "sftp-demo")
}

// workbench returns a directory with everything that the commands in documents need.
func workbench(t *testing.T) string {
	t.Helper()
	root, err := apiserver.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/kubectl-sftp", "./cmd/manager")
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
	out, err := pages.Blocks(page)
	if err != nil || len(out) < 7 {
		t.Fatalf("%s has %d blocks: %v", page, len(out), err)
	}
	return out
}

// commandsOf returns the commands of a page that need only an API server, the operator and simulated pods.
func commandsOf(t *testing.T, page string) []pages.Command {
	t.Helper()
	out, err := pages.Commands(page, pages.APIServer)
	if err != nil || len(out) == 0 {
		t.Fatalf("%s has %d commands: %v", page, len(out), err)
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
