package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/test/pages"
)

// reader follows the documentation, with a directory of the repository's files and a terminal.
type reader struct {
	dir string
	env []string
}

// newReader returns a reader with kubectl, its plug-in and Helm in PATH, whose SSH agent has a key.
func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{dir: t.TempDir()}
	root, err := filepath.Abs(pages.Root)
	must(t, err)
	for _, dir := range []string{"bin", ".ssh"} {
		must(t, os.Mkdir(filepath.Join(r.dir, dir), 0o700))
	}
	for name, target := range map[string]string{
		"bin/kubectl": os.Getenv("KUBECTL"), "bin/helm": os.Getenv("HELM"), "bin/kubectl-sftp": os.Getenv("PLUGIN"),
		"charts": filepath.Join(root, "charts"), "config": filepath.Join(root, "config"),
	} {
		must(t, os.Symlink(target, filepath.Join(r.dir, name)))
	}
	config, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	must(t, err)
	r.write(t, "kubeconfig", string(config))
	r.env = append(os.Environ(), "HOME="+r.dir, "KUBECONFIG="+filepath.Join(r.dir, "kubeconfig"), "SSH_AUTH_SOCK="+r.agent(t),
		"PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"),
		"IMAGE=images.example.com/sftp-operator", "TAG=dev") // hack/e2e.sh loads it under this name
	_, err = r.shell(t, "kubectl config set-context --current --namespace=sftp-demo")
	must(t, err)
	return r
}

func (r *reader) write(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600))
}

// agent generates the reader's key and serves it to OpenSSH, which looks for key files only in the home directory of the account.
func (r *reader) agent(t *testing.T) (socket string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	r.write(t, ".ssh/id_ed25519", string(pem.EncodeToMemory(block)))
	r.write(t, ".ssh/id_ed25519.pub", string(ssh.MarshalAuthorizedKey(signer.PublicKey())))

	keyring := agent.NewKeyring()
	must(t, keyring.Add(agent.AddedKey{PrivateKey: private}))
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // the path of a socket must be short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "socket")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, c) }()
		}
	}()
	return socket
}

// shell runs a script as if it were typed; whatever reads from the terminal gets commands for sftp. Processes in the background
// end with it.
func (r *reader) shell(t *testing.T, script string) (string, error) {
	t.Helper()
	out, err := os.CreateTemp(r.dir, "output")
	must(t, err)
	defer out.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, out, out // a file, so that Wait does not wait for the background
	cmd.Stdin = strings.NewReader("ls -l\nbye\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	text, readErr := os.ReadFile(out.Name())
	return string(text), errors.Join(err, readErr)
}

// follow runs the blocks of a page that need a node, in this order, and returns what they print. Without blocks it runs all.
func (r *reader) follow(t *testing.T, page string, blocks ...int) string {
	t.Helper()
	commands, err := pages.Commands(page, pages.Node)
	must(t, err)
	if len(blocks) == 0 {
		for _, c := range commands {
			if len(blocks) == 0 || blocks[len(blocks)-1] != c.Block {
				blocks = append(blocks, c.Block)
			}
		}
	}
	var printed strings.Builder
	for _, n := range blocks {
		var script []string
		var last pages.Command
		for _, c := range commands {
			if c.Block == n {
				script, last = append(script, c.Text), c
			}
		}
		if len(script) == 0 {
			t.Errorf("%s, block %d: there are no commands for a node", page, n)
			continue
		}
		out, err := r.shell(t, strings.Join(script, "\n"))
		printed.WriteString(out)
		var ended *exec.ExitError
		if errors.As(err, &ended) && last.Answers(ended.ExitCode()) {
			continue
		}
		if err != nil {
			t.Fatalf("%s, block %d: %v\n%s\n%s", page, n, err, strings.Join(script, "\n"), out)
		}
	}
	return printed.String()
}

// nothingFound matches lines that end with 1 when there is nothing to show: a search, or the log of a container that never crashed.
var nothingFound = regexp.MustCompile(`\| grep |--previous`)

// look runs the commands of a page that need a node, each in its own shell.
func (r *reader) look(t *testing.T, page string) {
	t.Helper()
	commands, err := pages.Commands(page, pages.Node)
	must(t, err)
	for _, c := range commands {
		out, err := r.shell(t, c.Script())
		var ended *exec.ExitError
		if errors.As(err, &ended) && (c.Answers(ended.ExitCode()) || ended.ExitCode() == 1 && nothingFound.MatchString(c.Text)) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %s\n%v: %s", c.Where(), c.Text, err, out)
		}
	}
}

// TestDocumentation follows the README, the quick start and the chart's page from installation to removal, and runs the commands of
// the other pages that need a node in between.
func TestDocumentation(t *testing.T) {
	noListeners(t)
	must(t, uninstallHelm())
	r := newReader(t)
	t.Cleanup(func() {
		_, _ = kubectl("delete", "namespace", "sftp-demo", "team-a", "team-b", "monitoring", "--ignore-not-found", "--wait=false")
		_, _ = kubectl("label", "namespace", operatorNamespace, "pod-security.kubernetes.io/enforce-")
		_ = uninstallHelm()
		for _, kind := range monitoringKinds {
			_, _ = kubectl("delete", "crd", strings.ToLower(kind)+"s.monitoring.coreos.com", "--ignore-not-found", "--wait=false")
		}
		if err := installWithHelm("--take-ownership"); err != nil {
			t.Errorf("install again: %v", err)
		}
	})
	dumpOnFailure(t, "sftp-demo") // before the cleanup above
	for _, name := range []string{"team-a", "team-b", "monitoring"} {
		must(t, kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}

	if out := r.follow(t, "docs/quickstart.md", 2, 3, 4, 5, 6, 7); !strings.Contains(out, "Connected to 127.0.0.1.") {
		t.Errorf("the quick start does not connect: %s", out)
	}
	r.follow(t, "charts/sftp-operator/README.md", 1, 2, 3)
	t.Run("other pages", func(t *testing.T) { otherPages(t, r) })
	r.follow(t, "docs/quickstart.md", 8)

	must(t, uninstallHelm())
	r.follow(t, "charts/sftp-operator/README.md", 4, 5, 6, 7)

	if out := r.follow(t, "README.md", 2, 3, 6); !strings.Contains(out, "Connected to 127.0.0.1.") {
		t.Errorf("the README does not connect: %s", out)
	}
	if out := r.follow(t, "README.md", 4, 5); !strings.Contains(out, "partners-data") || !strings.Contains(out, "partners-ed25519") {
		t.Errorf("after removal, files and host keys should be left: %s", out)
	}
}

// otherPages runs what needs a node on the endpoint of the quick start, which also gets events and retention.
func otherPages(t *testing.T, r *reader) {
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "sftp-demo", Name: "partners"}}
	update(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "inbox", SubPath: "in", DeleteAfterSeconds: 2592000, Mode: v1alpha1.RetentionReport}}
		l.Spec.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{
			Name: "jobs", ServiceRef: &v1alpha1.EventServiceReference{Name: "receiver", Port: 80},
		}}}
	})
	waitReady(t, l, 3*time.Minute)
	out, err := kubectl("-n", "sftp-demo", "rollout", "status", "deployment/partners-sftp-relay", "--timeout=2m")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = r.shell(t, "cp acme_key acme_ed25519 && echo 'ls -l' >commands.txt && kubectl get sftpuser acme -o json >acme.json")
	must(t, err)
	for _, page := range []string{"docs/event-receivers.md", "docs/retention.md", "docs/troubleshooting.md", "docs/runbooks.md"} {
		r.look(t, page)
	}
	r.follow(t, "docs/kubectl-sftp.md", 5, 6)
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "sftp-demo", Name: "acme"}}
	must(t, kube.Delete(t.Context(), u))
	r.follow(t, "docs/kubectl-sftp.md", 9)
	out, err = r.shell(t, "jq 'del(.status, .metadata.uid, .metadata.resourceVersion)' acme.json | kubectl apply -f -")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	r.follow(t, "docs/upgrading.md")
	r.write(t, "platform.yaml", firstYAML(t, "docs/platform.md"))
	r.follow(t, "docs/platform.md")
	createMonitoringKinds(t, r)
	r.follow(t, "docs/monitoring.md")
}

// TestDocumentationIsWhole: TestDocumentation runs each page that has commands for a node.
func TestDocumentationIsWhole(t *testing.T) {
	source, err := os.ReadFile("documents_test.go")
	must(t, err)
	for page := range pages.Pages() {
		commands, err := pages.Commands(page, pages.Node)
		must(t, err)
		if len(commands) > 0 && !strings.Contains(string(source), `"`+page+`"`) {
			t.Errorf("no test runs the commands of %s that need a node", page)
		}
	}
}

// noListeners waits until the listeners of other tests are gone: commands here would wait for them.
func noListeners(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Minute, "the listeners of other tests are gone", func() bool {
		var list v1alpha1.SFTPListenerList
		must(t, kube.List(t.Context(), &list))
		return len(list.Items) == 0
	})
}

var yamlBlock = regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n")

// firstYAML returns the first manifest or values of a page.
func firstYAML(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pages.Root, page))
	must(t, err)
	found := yamlBlock.FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s has no YAML", page)
	}
	return found[1]
}

// monitoringKinds are the kinds of the Prometheus operator that the chart's monitoring needs.
var monitoringKinds = []string{"ServiceMonitor", "PodMonitor", "PrometheusRule"}

// createMonitoringKinds creates these kinds, without that operator. They must exist for as long as a release
// has objects of these kinds: otherwise Helm cannot uninstall it.
func createMonitoringKinds(t *testing.T, r *reader) {
	t.Helper()
	for _, kind := range monitoringKinds {
		name := strings.ToLower(kind) + "s.monitoring.coreos.com"
		out, err := r.shell(t, fmt.Sprintf(`kubectl apply -f - <<EOF
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s}
spec:
  group: monitoring.coreos.com
  names: {kind: %s, plural: %ss}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
EOF
kubectl wait crd/%s --for=condition=Established --timeout=1m`, name, kind, strings.ToLower(kind), name))
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
