package operator

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// underPolicy has the operator run with a platform policy until the test ends.
func underPolicy(t *testing.T, text string) {
	t.Helper()
	p, err := platform.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := running.options
	t.Cleanup(func() { replaceOperator(t, o, func() {}) })
	next := o
	next.Platform = platform.Fixed(p)
	replaceOperator(t, next, func() {})
}

// settingsOf returns the settings of a listener's pods.
func settingsOf(t *testing.T, l *v1alpha1.SFTPListener) (out config.Listener) {
	t.Helper()
	secret := &corev1.Secret{}
	get(t, secret, l.Namespace, l.Name+"-sftp-config")
	if err := json.Unmarshal(secret.Data[config.ListenerFile], &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A new bound ends nothing: a listener that violates it serves its users, and removing access takes effect at once.
func TestBoundComesLater(t *testing.T) {
	ns := namespace(t, nil)
	end := metav1.NewTime(time.Now().Add(48 * time.Hour).Truncate(time.Second))
	l := rolledOutListener(t, ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Service.Type = v1alpha1.ServiceNodePort
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, &end
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	})
	stays, goes := newUser(ns, "stays"), newUser(ns, "goes")
	for _, u := range []*v1alpha1.SFTPUser{stays, goes} {
		create(t, u)
		waitFor(t, u, "Ready", "True", "Ready", "")
	}
	before := deploymentOf(t, l)
	underPolicy(t, "bounds: {serviceTypes: [ClusterIP], cryptoPolicies: [Modern2026]}")
	waitFor(t, l, "Accepted", "False", "PlatformPolicy", "The platform does not allow the spec, so pods, Service and claims stay as they are: "+
		"spec.service.type must not be NodePort: the platform allows ClusterIP (bounds.serviceTypes); "+
		"spec.cryptoPolicy must not be Legacy2026: the platform allows Modern2026 (bounds.cryptoPolicies)")
	waitFor(t, l, "Programmed", "True", "Programmed", "")
	if s := settingsOf(t, l); s.CryptoPolicy != "Legacy2026" || l.Status.CryptoPolicy != v1alpha1.CryptoLegacy2026 {
		t.Errorf("the old clients are locked out: %s, status %s", s.CryptoPolicy, l.Status.CryptoPolicy)
	}
	remove(t, goes)
	eventually(t, func() error {
		if logins := pods.logins(ns); len(logins) != 1 {
			return fmt.Errorf("the pods have %v", logins)
		}
		return nil
	})
	late := newUser(ns, "late")
	create(t, late)
	waitFor(t, late, "Ready", "True", "Ready", "")
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Pod.PriorityClassName = "other" })
	waitFor(t, l, "RolledOut", "False", "RolloutBlocked", "")
	if after := deploymentOf(t, l); after.Generation != before.Generation {
		t.Errorf("the Deployment was changed: %+v", after.Spec)
	}
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Service.Type = v1alpha1.ServiceClusterIP
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoModern2026, nil
	})
	waitFor(t, l, "Accepted", "True", "Accepted", "")
	waitFor(t, l, "Ready", "True", "Ready", "")
	eventually(t, func() error {
		if got := deploymentOf(t, l).Spec.Template.Spec.PriorityClassName; got != "other" {
			return fmt.Errorf("priority class %q", got)
		}
		return nil
	})
}

// A listener with a setting that is not allowed from the start gets no pods, and such a change to an existing listener is not
// rolled out.
func TestBoundWasThere(t *testing.T) {
	underPolicy(t, "bounds: {tolerations: [], cryptoPolicies: [Modern2026]}")
	ns := namespace(t, nil)
	refused := newListener(ns, func(l *v1alpha1.SFTPListener) {
		l.Name = "refused"
		l.Spec.Infrastructure.Pod.Tolerations = []v1alpha1.Toleration{{Operator: v1alpha1.TolerateExists}}
	})
	create(t, refused)
	waitFor(t, refused, "Accepted", "False", "PlatformPolicy", "")
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "refused-sftp"}, &appsv1.Deployment{}); !apierrors.IsNotFound(err) {
		t.Errorf("it has pods: %v", err)
	}
	l := readyListener(t, ns)
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, new(metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)))
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	})
	waitFor(t, l, "Accepted", "False", "PlatformPolicy", "")
	eventually(t, func() error {
		s := settingsOf(t, l)
		if s.CryptoPolicy == "Legacy2026" {
			t.Fatal("Legacy2026 is offered")
		}
		if len(s.AllowFrom) != 1 {
			return fmt.Errorf("the rest of the change has not arrived: %+v", s)
		}
		return nil
	})
	if l.Status.CryptoPolicy != v1alpha1.CryptoModern2026 {
		t.Errorf("status: %s", l.Status.CryptoPolicy)
	}
}

// Defaults are on the objects and in the status; the owner's choice takes precedence.
func TestPlatformDefaults(t *testing.T) {
	underPolicy(t, `
defaults: {labels: {cost-center: files}, imagePullSecrets: [registry], imagePullPolicy: Always, fsGroupPolicy: Platform, ipFamilyPolicy: SingleStack, priorityClassName: files}
bounds: {priorityClasses: [files, low]}
`)
	l := readyListener(t, namespace(t, nil), func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Pod.PriorityClassName = "low" })
	pod := deploymentOf(t, l).Spec.Template
	if pod.Labels["cost-center"] != "files" || len(pod.Spec.ImagePullSecrets) != 1 || pod.Spec.Containers[0].ImagePullPolicy != corev1.PullAlways ||
		pod.Spec.SecurityContext.FSGroup != nil || pod.Spec.PriorityClassName != "low" {
		t.Errorf("pod %+v", pod)
	}
	svc := &corev1.Service{}
	get(t, svc, l.Namespace, "partners-sftp")
	if svc.Spec.IPFamilyPolicy == nil || *svc.Spec.IPFamilyPolicy != corev1.IPFamilyPolicySingleStack || svc.Labels["cost-center"] != "files" {
		t.Errorf("Service %+v", svc)
	}
	get(t, l, l.Namespace, l.Name)
	if got := l.Status.PlatformDefaults; len(got) != 5 || l.Spec.Infrastructure.Pod.ImagePullPolicy != "" {
		t.Errorf("defaults %+v", got)
	}
}
