package operator

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// ownedKinds returns the kinds that the operator writes.
func ownedKinds() []client.ObjectList {
	return []client.ObjectList{
		&v1alpha1.SFTPListenerList{}, &v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{},
		&appsv1.DeploymentList{}, &corev1.SecretList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &corev1.PodList{},
		&corev1.PersistentVolumeClaimList{}, &networkingv1.NetworkPolicyList{}, &policyv1.PodDisruptionBudgetList{},
		&corev1.ConfigMapList{},
	}
}

func items(t *testing.T, list client.ObjectList, ns string) []client.Object {
	t.Helper()
	if err := api.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	var out []client.Object
	for _, o := range objects {
		out = append(out, o.(client.Object))
	}
	return out
}

// versions of all objects in a namespace.
func versions(t *testing.T, ns string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, list := range ownedKinds() {
		for _, o := range items(t, list, ns) {
			out[fmt.Sprintf("%T %s", o, o.GetName())] = o.GetResourceVersion()
		}
	}
	return out
}

// reconciles that a controller has finished so far.
func reconciles(t *testing.T, controller string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if labelled(m, "controller", controller) {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

// reconcileErrors of all controllers so far.
func reconcileErrors(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() == "controller_runtime_reconcile_errors_total" {
			for _, m := range f.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

func labelled(m *dto.Metric, name, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == name && l.GetValue() == value {
			return true
		}
	}
	return false
}

// busyNamespace creates a namespace with a listener, a user that is ready, and a user whose password is invalid.
func busyNamespace(t *testing.T) (ns string, acme *v1alpha1.SFTPUser) {
	t.Helper()
	ns = namespace(t, nil)
	readyListener(t, ns)
	create(t, passwordSecret(ns, "acme-password", "hunter2-do-not-tell"))
	acme = newUser(ns, "acme", withPassword("acme-password"))
	create(t, acme)
	waitReady(t, acme)
	broken := newUser(ns, "broken", withPassword("broken-password"))
	create(t, passwordSecret(ns, "broken-password", "hunter3-do-not-tell\n"))
	create(t, broken)
	waitFor(t, broken, "Ready", "False", "InvalidPassword", "")
	return ns, acme
}

// An operator that rewrites what already exists wakes itself up, and every watcher.
func TestReconcileWithoutAChangeWritesNothing(t *testing.T) {
	ns, _ := busyNamespace(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unrelated"}}
	create(t, secret)
	// A Secret that claims to be the listener's wakes its reconciler without having any effect.
	wake := func(n int) {
		access, objects := reconciles(t, "access"), reconciles(t, "listener")
		change(t, secret, func(s *corev1.Secret) {
			s.Labels = map[string]string{v1alpha1.LabelListener: "partners", "n": strconv.Itoa(n)}
		})
		// A label of the Service that does not matter to the operator wakes the other controller.
		change(t, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp"}}, func(s *corev1.Service) {
			s.Labels["n"] = strconv.Itoa(n)
		})
		eventually(t, func() error {
			if reconciles(t, "access") == access || reconciles(t, "listener") == objects {
				return fmt.Errorf("the listener was not reconciled")
			}
			return nil
		})
	}
	wake(0) // after this, nothing is in progress anymore
	n := 0
	judge(t, func() error {
		before := versions(t, ns)
		for range 3 {
			n++
			wake(n)
		}
		for name, version := range versions(t, ns) {
			if before[name] != version && !strings.HasSuffix(name, " unrelated") && !strings.HasSuffix(name, "Service partners-sftp") {
				return fmt.Errorf("%s was written", name)
			}
		}
		return nil
	})
}

// Neither does a restart: not one hash, line or status differs.
func TestRestartWritesNothing(t *testing.T) {
	ns, acme := busyNamespace(t)
	hash := pods.logins(ns)["acme"].Password.Hash
	var before map[string]string
	restartOperator(t, func() { before = versions(t, ns) })
	u := newUser(ns, "new") // when this one is ready, everything has been evaluated
	create(t, u)
	waitReady(t, u)
	for name, version := range versions(t, ns) {
		written := before[name] != version
		switch {
		case strings.HasSuffix(name, "SFTPUser new"), strings.Contains(name, "Secret partners-sftp-"), strings.Contains(name, "Pod "),
			strings.Contains(name, "SFTPListener"): // these concern the new user
		case written:
			t.Errorf("%s was written", name)
		}
	}
	if got := pods.logins(ns)["acme"].Password.Hash; got != hash {
		t.Error("the password has a new hash: its sessions were closed")
	}
	waitFor(t, acme, "Ready", "True", "Ready", "")
}

// A key that is removed while the operator is down is gone when it is back.
func TestRevocationWhileTheOperatorIsAway(t *testing.T) {
	ns, acme := busyNamespace(t)
	restartOperator(t, func() { remove(t, acme) })
	eventually(t, func() error {
		if _, ok := pods.logins(ns)["acme"]; ok {
			return fmt.Errorf("the SFTPUser was deleted, but pods still have its login")
		}
		return nil
	})
}

// Secrets stay in Secrets: the pods' Secret has a hash of a password, and no other object contains any part of the password.
func TestNoSecretIsTold(t *testing.T) {
	ns, _ := busyNamespace(t)
	secret := &corev1.Secret{}
	get(t, secret, ns, "partners-ed25519")
	private := secret.Data["ssh-privatekey"]
	forbidden := map[string][]byte{
		"a password":             []byte("do-not-tell"),
		"a password's hash":      []byte("$argon2id$"),
		"the host's private key": bytes.Split(private, []byte("\n"))[1],
	}
	for _, list := range append(ownedKinds(), &eventsv1.EventList{}) {
		for _, o := range items(t, list, ns) {
			if s, ok := o.(*corev1.Secret); ok {
				own := s.Labels[v1alpha1.LabelListener] != ""
				for name, data := range s.Data {
					if own && bytes.Contains(data, forbidden["a password"]) {
						t.Errorf("Secret %s, entry %s, contains a password", s.Name, name)
					}
				}
				s.Data = nil // the rest of a Secret is readable by all
			}
			dump, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			for what, value := range forbidden {
				if bytes.Contains(dump, value) {
					t.Errorf("%T %s contains %s", o, o.GetName(), what)
				}
			}
		}
	}
	if len(items(t, &eventsv1.EventList{}, ns)) == 0 {
		t.Error("there are no events, so the test proves nothing")
	}
}
