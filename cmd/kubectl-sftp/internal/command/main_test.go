package command

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")

	// api is the client with which tests prepare objects, as the cluster's administrator.
	api client.Client
	// environment is the API server.
	environment *envtest.Environment
	// administrator is a kubeconfig file with the administrator's permissions.
	administrator string
)

// now is the plug-in's clock in all tests.
var now = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if environment, err = apiserver.Start(); err != nil {
		return fail(err)
	}
	defer environment.Stop()
	if api, err = client.New(environment.Config, client.Options{Scheme: controllers.NewScheme()}); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp("", "kubectl-sftp-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	administrator = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(administrator, environment.KubeConfig, 0o600); err != nil {
		return fail(err)
	}
	return m.Run()
}

// result is the result of one command line.
type result struct {
	code     int
	out, err string
}

// plugInput runs a command line with an input and the permissions of a kubeconfig.
func plugInput(t *testing.T, kubeconfig, input string, args ...string) result {
	t.Helper()
	var out, errors bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	code := Run(ctx, Terminal{In: strings.NewReader(input), Out: &out, Err: &errors, Now: func() time.Time { return now }},
		"test", append(args, "--kubeconfig", kubeconfig))
	return result{code, out.String(), errors.String()}
}

func plug(t *testing.T, args ...string) result {
	t.Helper()
	return plugInput(t, administrator, "", args...)
}

// want checks the exit code and both outputs against a golden file.
func (r result) want(t *testing.T, code int, golden string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	got := r.out
	if r.err != "" {
		got += "--- standard error\n" + r.err
	}
	file := filepath.Join("testdata", golden)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant (%s; -update rewrites it):\n%s", got, golden, want)
	}
}

// namespace creates a namespace for the test. Its name is in golden files. Its users are deleted at the end of the test,
// because some commands list those of all namespaces.
func namespace(t *testing.T, name string) string {
	t.Helper()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	t.Cleanup(func() {
		if err := api.DeleteAllOf(context.Background(), &v1alpha1.SFTPUser{}, client.InNamespace(name)); err != nil {
			t.Error(err)
		}
	})
	return name
}

// create creates an object. Its status, which the API server drops, is written afterwards.
func create(t *testing.T, o client.Object) {
	t.Helper()
	whole := o.DeepCopyObject().(client.Object)
	if err := api.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	switch o.(type) {
	case *v1alpha1.SFTPListener, *v1alpha1.SFTPUser, *v1alpha1.SFTPKey, *corev1.Pod, *corev1.Node:
		whole.SetResourceVersion(o.GetResourceVersion())
		whole.SetUID(o.GetUID())
		if err := api.Status().Update(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
	}
}

// manifests creates the objects of a file in testdata, each with its status.
func manifests(t *testing.T, namespace, file string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(string(data), "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			t.Fatal(err)
		}
		typed, err := api.Scheme().New(kind.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		o := typed.(client.Object)
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		o.SetNamespace(namespace)
		create(t, o)
	}
}

// account creates an account with permissions in one namespace and returns its kubeconfig.
func account(t *testing.T, namespace, name string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules})
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	})
	user, err := environment.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// reads returns the permission to read certain kinds of this API.
func reads(resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: resources, Verbs: []string{"get", "list"}}
}

// completeLine returns the suggestions for the shell; the last argument is the one being typed.
func completeLine(t *testing.T, args []string) string {
	t.Helper()
	var out, errors bytes.Buffer
	if code := Run(t.Context(), Terminal{Out: &out, Err: &errors}, "test", args); code != 0 {
		t.Fatalf("exit code %d: %s", code, errors.String())
	}
	return out.String()
}

func newSecret(namespace, name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
}

// line runs a command line as it is: arguments after "--" are not for the plug-in.
func line(t *testing.T, input string, args ...string) result {
	t.Helper()
	var out, errors bytes.Buffer
	code := Run(t.Context(), Terminal{In: strings.NewReader(input), Out: &out, Err: &errors, Now: func() time.Time { return now }}, "test", args)
	return result{code, out.String(), errors.String()}
}

func keyOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }
