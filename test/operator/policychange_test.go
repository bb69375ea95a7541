package operator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

// mounted is a policy's file as the kubelet mounts it: a whole ConfigMap is replaced at once, through a link.
type mounted struct {
	dir string
	n   int
}

// underFile has the operator run with a policy in a file until the test ends.
func underFile(t *testing.T, text string) *mounted {
	t.Helper()
	m := &mounted{dir: t.TempDir()}
	m.swap(t, text)
	name := filepath.Join(m.dir, "policy.yaml")
	if err := os.Symlink("..data/policy.yaml", name); err != nil {
		t.Fatal(err)
	}
	source, err := platform.FromFile(name)
	if err != nil {
		t.Fatal(err)
	}
	o := running.options
	t.Cleanup(func() { replaceOperator(t, o, func() {}) })
	next := o
	next.Platform, next.PolicyInterval = source, 20*time.Millisecond
	replaceOperator(t, next, func() {})
	return m
}

func (m *mounted) swap(t *testing.T, text string) {
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

// waitForMetric waits until the operator serves a line.
func waitForMetric(t *testing.T, line string) {
	t.Helper()
	eventually(t, func() error {
		recorder := httptest.NewRecorder()
		promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if !strings.Contains(recorder.Body.String(), line+"\n") {
			return fmt.Errorf("the operator does not serve %s", line)
		}
		return nil
	})
}

const (
	policyInEffect = "sftp_operator_platform_policy_rejected 0"
	policyRejected = "sftp_operator_platform_policy_rejected 1"
)

// A changed policy takes effect on all listeners without a restart of the operator. An unusable one does not, and the previous
// policy stays in effect. While many listeners follow, access is removed as fast as usual.
func TestPolicyChanges(t *testing.T) {
	m := underFile(t, "{}")
	ns := namespace(t, nil)
	l := readyListener(t, ns, func(l *v1alpha1.SFTPListener) { l.Spec.Service.Type = v1alpha1.ServiceNodePort })
	var doomed []*v1alpha1.SFTPUser
	for i := range 3 {
		doomed = append(doomed, newUser(ns, fmt.Sprint("doomed-", i)))
		create(t, doomed[i])
		waitReady(t, doomed[i])
	}
	others := []*v1alpha1.SFTPListener{}
	for _, of := range []string{ns, namespace(t, nil)} {
		for i := range 10 {
			other := newListener(of, func(l *v1alpha1.SFTPListener) {
				l.Name, l.Spec.Service.Type, l.Spec.Replicas = fmt.Sprintf("other-%02d", i), v1alpha1.ServiceNodePort, new(int32(0))
			})
			create(t, other)
			others = append(others, other)
		}
	}
	for _, other := range others {
		waitFor(t, other, "Accepted", "True", "Accepted", "")
	}
	waitForMetric(t, policyInEffect)

	bounded := "bounds: {serviceTypes: [ClusterIP]}"
	for i, text := range []string{bounded, "{}", bounded} {
		m.swap(t, text)
		begin := time.Now()
		remove(t, doomed[i])
		within(t, 2*time.Second, func() error {
			if loadable(t, l)[doomed[i].Name] {
				return fmt.Errorf("%s can log in after %s", doomed[i].Name, time.Since(begin))
			}
			return nil
		})
		t.Logf("policy %d: the login was gone after %s", i, time.Since(begin))
	}
	for _, o := range append(others, l) {
		waitFor(t, o, "Accepted", "False", "PlatformPolicy", "")
	}

	m.swap(t, "bounds: {serviceTypes: [clusterip]}")
	waitForMetric(t, policyRejected)
	late := newListener(ns, func(l *v1alpha1.SFTPListener) { l.Name, l.Spec.Service.Type = "late", v1alpha1.ServiceNodePort })
	create(t, late)
	waitFor(t, late, "Accepted", "False", "PlatformPolicy", "The platform does not allow the spec, so pods, Service and claims stay as they are: "+
		"spec.service.type must not be NodePort: the platform allows ClusterIP (bounds.serviceTypes)")

	m.swap(t, "bounds: {serviceTypes: [ClusterIP, NodePort]}")
	waitForMetric(t, policyInEffect)
	for _, o := range append(others, l, late) {
		waitFor(t, o, "Accepted", "True", "Accepted", "")
	}
}

// An operator that starts with an unusable policy changes nothing that the platform might not allow. It removes access as
// usual, and continues as soon as the policy is corrected.
func TestPolicyIsUnusable(t *testing.T) {
	ns := namespace(t, nil)
	l := rolledOutListener(t, ns)
	stays, goes := newUser(ns, "stays"), newUser(ns, "goes")
	for _, u := range []*v1alpha1.SFTPUser{stays, goes} {
		create(t, u)
		waitReady(t, u)
	}
	before := deploymentOf(t, l)
	m := underFile(t, "bounds: [")
	waitForMetric(t, policyRejected)
	waitFor(t, l, "Accepted", "False", "PlatformPolicy", "The platform's policy cannot be used, so pods, Service and claims stay as they are "+
		"until the platform team corrects it; the operator's log has the reason")
	remove(t, goes)
	eventually(t, func() error {
		if logins := pods.logins(ns); len(logins) != 1 {
			return fmt.Errorf("the pods have %v", logins)
		}
		return nil
	})
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Pod.PriorityClassName = "other" })
	waitFor(t, l, "RolledOut", "False", "RolloutBlocked", "")
	if after := deploymentOf(t, l); after.Generation != before.Generation {
		t.Errorf("the Deployment was changed: %+v", after.Spec)
	}
	m.swap(t, "bounds: {priorityClasses: [other]}")
	waitForMetric(t, policyInEffect)
	waitFor(t, l, "Accepted", "True", "Accepted", "")
	eventually(t, func() error {
		if got := deploymentOf(t, l).Spec.Template.Spec.PriorityClassName; got != "other" {
			return fmt.Errorf("priority class %q", got)
		}
		return nil
	})
}

// A default that is added while the operator is running replaces pods as an upgrade does: a few listeners at a time.
func TestDefaultChanges(t *testing.T) {
	m := underFile(t, "{}")
	fleet, _ := fleetOf(t, 3)
	m.swap(t, "defaults: {labels: {cost-center: files}}")
	labeled := func() (with []*v1alpha1.SFTPListener) {
		for _, l := range fleet {
			if deploymentOf(t, l).Spec.Template.Labels["cost-center"] == "files" {
				with = append(with, l)
			}
		}
		return with
	}
	eventually(t, func() error {
		queued := 0
		for _, l := range fleet {
			get(t, l, l.Namespace, l.Name)
			if p := l.Status.PendingRestart; p != nil && p.Reason == v1alpha1.ReasonRolloutQueued {
				queued++
			}
		}
		if n := len(labeled()); n != 2 || queued != 1 { // MaxConcurrentRollouts
			return fmt.Errorf("%d have new pods, %d wait", n, queued)
		}
		return nil
	})
	for _, l := range labeled() {
		rollsTo(t, l, true)
	}
	eventually(t, func() error {
		if n := len(labeled()); n != len(fleet) {
			return fmt.Errorf("%d have new pods", n)
		}
		return nil
	})
}
