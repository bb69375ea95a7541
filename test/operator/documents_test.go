package operator

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
	"github.com/sftp-operator/sftp-operator/test/pages"
)

// ownTest has the pages whose commands another test of this package runs, because they need other objects.
var ownTest = map[string]bool{"docs/auditors.md": true, "docs/backup-restore.md": true, "docs/runbooks.md": true}

// pageOrder lists the pages that need what others leave behind, or that leave behind what others do not expect. All other pages
// come first.
var pageOrder = []string{"docs/concepts.md", "docs/keys.md", "docs/migrating.md", "docs/troubleshooting.md"}

// situations has functions that prepare what a block is about. All other blocks work on a listener that serves its users.
var situations = map[string]func(t *testing.T, dir string, l *v1alpha1.SFTPListener){
	"docs/troubleshooting.md, block 13": func(t *testing.T, _ string, l *v1alpha1.SFTPListener) { // the Secret of the host key is lost
		remove(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "partners-ed25519"}})
	},
	"docs/troubleshooting.md, block 40": func(t *testing.T, _ string, l *v1alpha1.SFTPListener) {
		change(t, newUser(l.Namespace, "acme"), func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}}
		})
	},
	"docs/troubleshooting.md, block 60": func(t *testing.T, dir string, l *v1alpha1.SFTPListener) { // as docs/keys.md does
		eventually(t, func() error {
			return api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: "partners-ed25519"}, &corev1.Secret{})
		})
		change(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "partners-ed25519"}}, func(s *corev1.Secret) {
			s.StringData = map[string]string{"ssh-certificate": contentOf(t, dir, "host-cert.pub")}
		})
	},
}

// TestDocumentedCommands: the commands of the pages that need no node work as written, in their order. test/e2e runs the others.
func TestDocumentedCommands(t *testing.T) {
	demoNamespace(t)
	l := readyListener(t, "sftp-demo", withClaims("data"), func(l *v1alpha1.SFTPListener) {
		l.Spec.Hostnames = []v1alpha1.Host{"sftp.example.com"}
	})
	acme := newUser(l.Namespace, "acme")
	create(t, acme)
	waitReady(t, acme)
	dir := desk(t)

	for _, page := range orderedPages(t) {
		t.Run(page, func(t *testing.T) {
			before := 0
			for _, c := range commandsOf(t, page) {
				if prepare := situations[c.Where()]; prepare != nil && c.Block != before {
					prepare(t, dir, l)
				}
				before = c.Block
				runDocumented(t, dir, c)
			}
		})
	}
}

// orderedPages returns the pages of the table with commands for this package, except those with a test of their own.
func orderedPages(t *testing.T) (out []string) {
	t.Helper()
	last := map[string]bool{}
	for _, page := range pageOrder {
		last[page] = true
	}
	for page := range pages.Pages() {
		commands, err := pages.Commands(page, pages.APIServer)
		if err != nil {
			t.Fatal(err)
		}
		if len(commands) > 0 && !ownTest[page] && !last[page] {
			out = append(out, page)
		}
	}
	slices.Sort(out)
	return append(out, pageOrder...)
}

func runDocumented(t *testing.T, dir string, c pages.Command) {
	t.Helper()
	out, problems, err := shell(t, dir, c.Script())
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || !c.Answers(ended.ExitCode())) {
		t.Errorf("%s: %s\n%v: %s%s", c.Where(), c.Text, err, out, problems)
	}
}

// desk returns a workbench with the files that pages assume: a partner's keys, a certificate authority, the accounts of a
// different server.
func desk(t *testing.T) string {
	t.Helper()
	dir := workbench(t)
	root, err := apiserver.Root()
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config", "charts", "hack"} {
		must(os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
	}
	for _, name := range []string{"ca", "lost", "lost_key", "acme_key", "acme"} {
		_, problems, err := shell(t, dir, "ssh-keygen -q -t ed25519 -N '' -f "+name)
		if err != nil {
			t.Fatalf("%v: %s", err, problems)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "keys"), 0o700))
	policy, err := json.Marshal(map[string]any{"bounds": map[string]any{"serviceTypes": []string{"ClusterIP"}}})
	must(err)
	for name, content := range map[string]string{
		"keys/initech.pub": contentOf(t, dir, "lost.pub"),
		"users.conf":       "initech:correct horse battery:1000\nglobex:correct horse battery:1001\n",
		"policy.yaml":      string(policy),
	} {
		must(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	if _, problems, err := shell(t, dir, "kubectl config set-context --current --namespace=sftp-demo"); err != nil {
		t.Fatalf("%v: %s", err, problems)
	}
	for _, name := range []string{"team-a", "monitoring"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := client.IgnoreAlreadyExists(api.Create(t.Context(), ns)); err != nil {
			t.Fatal(err)
		}
		cleanUp(t, name)
	}
	return dir
}

func contentOf(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
