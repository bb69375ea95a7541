package platform

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// mount is a directory as the kubelet mounts a ConfigMap: a file is a link through ..data, which is replaced at once.
type mount struct {
	dir string
	n   int
}

func newMount(t *testing.T, text string) *mount {
	t.Helper()
	m := &mount{dir: t.TempDir()}
	m.swap(t, text)
	if err := os.Symlink("..data/policy.yaml", m.file()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mount) file() string { return filepath.Join(m.dir, "policy.yaml") }

func (m *mount) swap(t *testing.T, text string) {
	t.Helper()
	m.n++
	version := fmt.Sprintf("..%d", m.n)
	for _, err := range []error{
		os.Mkdir(filepath.Join(m.dir, version), 0o700),
		os.WriteFile(filepath.Join(m.dir, version, "policy.yaml"), []byte(text), 0o600),
		os.Symlink(version, filepath.Join(m.dir, "..tmp")),
		os.Rename(filepath.Join(m.dir, "..tmp"), filepath.Join(m.dir, "..data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

const (
	nothing   = "{}"
	clusterIP = "bounds: {serviceTypes: [ClusterIP]}"
	nodePort  = "bounds: {serviceTypes: [NodePort]}"
)

// settle checks until the file is settled, and returns the last result.
func settle(s *Source) (changed bool, err error) {
	for range 2 {
		now, problem := s.Check()
		changed, err = changed || now, problem
	}
	return changed, err
}

func serviceTypes(s *Source) string { return fmt.Sprint(s.Policy().Bounds.ServiceTypes) }

// A policy follows its file. Unusable content leaves the previous policy in effect, and is reported until it is corrected.
func TestSource(t *testing.T) {
	m := newMount(t, clusterIP)
	s, err := FromFile(m.file())
	if err != nil || serviceTypes(s) != "[ClusterIP]" {
		t.Fatalf("%v, %s", err, serviceTypes(s))
	}
	for i, step := range []struct {
		text    string
		changed bool
		problem string
		types   string
	}{
		{clusterIP, false, "", "[ClusterIP]"},
		{nodePort, true, "", "[NodePort]"},
		{nodePort + " # another text", false, "", "[NodePort]"},
		{"bounds: {serviceType: [ClusterIP]}", false, "unknown field", "[NodePort]"},
		{"bounds: {serviceTypes: [Cluster]}", false, `"Cluster" is not one of`, "[NodePort]"},
		{"bounds: {serviceTypes: [", false, "policy.yaml: ", "[NodePort]"},
		{" \n", false, "the file is empty", "[NodePort]"},
		{strings.Repeat("#", maxFile+1), false, "more than", "[NodePort]"},
		{"{bounds: {priorityClasses: [a]}, defaults: {priorityClassName: b}}", false, "a default breaks a bound", "[NodePort]"},
		{nodePort, false, "", "[NodePort]"},
		{clusterIP, true, "", "[ClusterIP]"},
		{nothing, true, "", "[]"},
	} {
		m.swap(t, step.text)
		changed, err := settle(s)
		if changed != step.changed || (err != nil) != (step.problem != "") || err != nil && !strings.Contains(err.Error(), step.problem) || serviceTypes(s) != step.types {
			t.Errorf("step %d: changed: %t, %v, %s", i, changed, err, serviceTypes(s))
		}
		if again, problem := s.Check(); again || fmt.Sprint(problem) != fmt.Sprint(err) {
			t.Errorf("step %d, again: changed: %t, %v", i, again, problem)
		}
	}
}

// A file that is gone, or that someone is writing, changes nothing.
func TestSourceIsNotRead(t *testing.T) {
	m := newMount(t, clusterIP)
	s, err := FromFile(m.file())
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(m.dir, "..data")
	if err := os.Rename(data, data+"x"); err != nil {
		t.Fatal(err)
	}
	if changed, err := settle(s); changed || !os.IsNotExist(err) || serviceTypes(s) != "[ClusterIP]" {
		t.Errorf("gone: %t, %v, %s", changed, err, serviceTypes(s))
	}
	if err := os.Rename(data+"x", data); err != nil {
		t.Fatal(err)
	}
	if changed, err := settle(s); changed || err != nil {
		t.Errorf("back: %t, %v", changed, err)
	}
	for i := range len(nodePort) {
		m.swap(t, nodePort[:i]) // parts of it are policies
		if changed, _ := s.Check(); changed || serviceTypes(s) != "[ClusterIP]" {
			t.Fatalf("%q is in effect: %s", nodePort[:i], serviceTypes(s))
		}
	}
	m.swap(t, nodePort)
	if changed, err := settle(s); !changed || err != nil || serviceTypes(s) != "[NodePort]" {
		t.Errorf("whole: %t, %v, %s", changed, err, serviceTypes(s))
	}
	if _, err := FromFile(m.file() + "x"); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, s := range []*Source{nil, Fixed(nil), Fixed(&Policy{})} {
		if changed, err := s.Check(); changed || err != nil || s.File() != "" {
			t.Errorf("without a file: %t, %v", changed, err)
		}
	}
}

// While the policy is unknown, because the operator started with one that it cannot use, nothing that a policy might bound changes.
func TestUnusable(t *testing.T) {
	m := newMount(t, "bounds: [")
	s, err := FromFile(m.file())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(); err == nil {
		t.Error("no problem is reported")
	}
	l := &v1alpha1.SFTPListener{}
	l.Spec.CryptoPolicy = v1alpha1.CryptoLegacy2026
	l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "old", Mode: v1alpha1.RetentionEnforce}}
	l.Status.CryptoPolicy = v1alpha1.CryptoStrict2026
	d := s.Policy().Decide(l, time.Now())
	if !strings.Contains(d.Refusal(), "policy cannot be used") || d.Listener.Spec.CryptoPolicy != v1alpha1.CryptoStrict2026 ||
		d.Listener.Spec.Retention.Rules[0].Mode != v1alpha1.RetentionReport || l.Spec.Retention.Rules[0].Mode != v1alpha1.RetentionEnforce {
		t.Errorf("%q, %+v", d.Refusal(), d.Listener.Spec)
	}
	if got := s.Policy().EventHost("events.example.com"); !strings.Contains(got, "until") {
		t.Errorf("events: %q", got)
	}
	m.swap(t, nothing)
	if changed, err := settle(s); !changed || err != nil || s.Policy().Decide(l, time.Now()).Refusal() != "" {
		t.Errorf("corrected: %t, %v", changed, err)
	}
}
