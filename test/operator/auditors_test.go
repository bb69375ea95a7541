package operator

import (
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
	page, err := os.ReadFile(filepath.Join(root, "docs", "auditors.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 10 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for i, b := range blocks {
		t.Run(fmt.Sprintf("block %d", i+1), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", b[1])
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"), "PATH="+dir+":"+assets+":"+os.Getenv("PATH"))
			var problems strings.Builder
			cmd.Stderr = &problems
			out, err := cmd.Output()
			if err != nil || len(out) == 0 || strings.Contains(string(out), "null") {
				t.Errorf("%s\n%v: %s%s", b[1], err, out, &problems)
			}
			t.Logf("%s", out)
		})
	}
}
