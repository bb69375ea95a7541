package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// relays plays the relays, because there are no pods. A relay that was not told what to report does not answer.
var relays playedRelays

type playedRelays struct {
	mu   sync.Mutex
	says map[types.UID]delivery.Status
	// asked has the keys and addresses of the last requests.
	asked map[types.UID]watch.Target
}

// Status implements watch.StatusClient.
func (p *playedRelays) Status(_ context.Context, t watch.Target) (delivery.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[types.UID]watch.Target{}
	}
	p.asked[t.UID] = t
	if st, ok := p.says[t.UID]; ok {
		return st, nil
	}
	return delivery.Status{}, errors.New("dial: connection refused")
}

func (p *playedRelays) say(l *v1alpha1.SFTPListener, sinks ...delivery.SinkStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.says == nil {
		p.says = map[types.UID]delivery.Status{}
	}
	p.says[l.UID] = delivery.Status{Pods: 1, Answering: 1, Sinks: sinks}
}

func withEvents(sinks ...v1alpha1.EventSink) func(*v1alpha1.SFTPListener) {
	return func(l *v1alpha1.SFTPListener) { l.Spec.Events = &v1alpha1.ListenerEvents{Sinks: sinks} }
}

func toService(name string) v1alpha1.EventSink {
	return v1alpha1.EventSink{Name: name, ServiceRef: &v1alpha1.EventServiceReference{Name: "receiver", Port: 8080}}
}

// relayConfig returns the configuration that the relay of a listener gets.
func relayConfig(t *testing.T, l *v1alpha1.SFTPListener) (delivery.Config, error) {
	t.Helper()
	s := &corev1.Secret{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: "partners-sftp-relay"}, s); err != nil {
		return delivery.Config{}, err
	}
	return delivery.Decode(s.Data[delivery.ConfigFile])
}

// A listener with events gets a relay with few permissions, and one without events has none.
func TestRelay(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withEvents(toService("jobs")))
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp-relay"}, d)
	})
	pod := d.Spec.Template
	c := pod.Spec.Containers[0]
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || c.Image != "sftp-operator:test" ||
		*pod.Spec.AutomountServiceAccountToken || pod.Spec.ServiceAccountName != "partners-sftp-relay" || !*pod.Spec.SecurityContext.RunAsNonRoot ||
		!*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation || c.SecurityContext.Capabilities.Drop[0] != "ALL" {
		t.Errorf("%+v", d.Spec)
	}
	if _, taken := pod.Labels[v1alpha1.LabelListener]; taken || pod.Labels[v1alpha1.LabelRelay] != "partners" {
		t.Errorf("the relay's pods have the labels %v, which must not be those of pods that serve clients", pod.Labels)
	}
	config, err := relayConfig(t, l)
	if err != nil || config.Pods != "partners-sftp-pods."+ns+".svc" || config.Sinks[0].URL != "http://receiver."+ns+".svc:8080/" {
		t.Errorf("%+v, %v", config, err)
	}
	checkEventSettings(t, l, config.Key)
	checkRelayNetwork(t, ns)

	waitFor(t, l, "EventsDelivered", "Unknown", "RelayUnreachable", "The relay does not report on the events: dial: connection refused. "+
		"They are kept; kubectl -n "+ns+" describe pods -l sftp-operator.io/relay=partners says more")
	relays.say(l, delivery.SinkStatus{Name: "jobs", Pending: 3, Oldest: time.Now(), Delivered: 7})
	waitFor(t, l, "EventsDelivered", "True", "EventsDelivered", "Receivers accept the events that they are sent")
	get(t, l, ns, l.Name)
	if e := l.Status.Events; len(e) != 1 || *e[0].Pending != 3 || e[0].State != v1alpha1.SinkDelivering || e[0].OldestTime == nil {
		t.Errorf("%+v", e)
	}
	waitFor(t, l, "Ready", "True", "Ready", "")

	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Events = nil })
	for _, o := range []client.Object{
		&appsv1.Deployment{}, &corev1.Secret{}, &corev1.Service{}, &corev1.ServiceAccount{}, &networkingv1.NetworkPolicy{},
	} {
		eventually(t, func() error {
			err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp-relay"}, o)
			if err == nil {
				return fmt.Errorf("%T is still there", o)
			}
			return client.IgnoreNotFound(err)
		})
	}
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		if meta.FindStatusCondition(l.Status.Conditions, "EventsDelivered") != nil || l.Status.Events != nil || settingsOf(t, l).Events.On() {
			return fmt.Errorf("some of the events' objects are left: %+v", l.Status)
		}
		return nil
	})
}

// checkEventSettings fails if the pods lack the settings that the relay needs.
func checkEventSettings(t *testing.T, l *v1alpha1.SFTPListener, key string) {
	t.Helper()
	secret := &corev1.Secret{}
	get(t, secret, l.Namespace, "partners-sftp-config")
	s := settingsOf(t, l)
	if len(s.Events.Sinks) != 1 || s.Events.Sinks[0].Name != "jobs" || len(s.Events.Sinks[0].Types) == 0 || string(secret.Data[config.EventsKeyFile]) != key {
		t.Errorf("pods have %+v, but not the relay's key", s.Events)
	}
}

// checkRelayNetwork fails if the relay can reach more than it needs, or cannot reach the pods.
func checkRelayNetwork(t *testing.T, ns string) {
	t.Helper()
	policy, pods := &networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicy{}
	get(t, policy, ns, "partners-sftp-relay")
	get(t, pods, ns, "partners-sftp")
	for _, rule := range policy.Spec.Egress {
		for _, to := range rule.To {
			if to.IPBlock != nil || to.NamespaceSelector != nil {
				t.Errorf("a relay to a Service reaches %+v", to)
			}
		}
		if len(rule.To) == 0 && (len(rule.Ports) != 4 || rule.Ports[0].Port.IntVal != 53) {
			t.Errorf("a relay reaches everything at %+v", rule.Ports)
		}
	}
	if len(policy.Spec.Egress) != 3 || len(policy.Spec.Ingress) != 1 {
		t.Errorf("%+v", policy.Spec)
	}
	if !slices.ContainsFunc(pods.Spec.Ingress[1].From, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.PodSelector != nil && p.PodSelector.MatchLabels[v1alpha1.LabelRelay] == "partners"
	}) {
		t.Errorf("the pods do not let the relay in: %+v", pods.Spec.Ingress)
	}
	service := &corev1.Service{}
	if get(t, service, ns, "partners-sftp-pods"); service.Spec.ClusterIP != "None" || !service.Spec.PublishNotReadyAddresses {
		t.Errorf("%+v", service.Spec)
	}
}

// A missing Secret holds its own sink, and nothing else: no other sink, not the listener, and no revocation.
func TestSecretsOfSinks(t *testing.T) {
	ns := namespace(t, nil)
	held := toService("held")
	held.Authentication.BearerSecretRef = &v1alpha1.SecretFileReference{Name: "token", Key: "token"}
	l := readyListener(t, ns, withEvents(toService("jobs"), held))
	goes := newUser(ns, "goes")
	create(t, goes)
	waitFor(t, goes, "Ready", "True", "Ready", "")
	waitFor(t, l, "EventsDelivered", "False", "SecretNotFound", fmt.Sprintf(
		"Sink \"held\": Secret \"token\" does not exist in namespace %q; create it or correct spec.events.sinks[held].authentication. Its events are kept until then", ns))
	waitFor(t, l, "Ready", "True", "Ready", "")
	waitFor(t, l, "ResolvedRefs", "True", "ResolvedRefs", "")
	remove(t, goes)
	eventually(t, func() error {
		if logins := pods.logins(ns); len(logins) != 0 {
			return fmt.Errorf("the pods have %v", logins)
		}
		return nil
	})
	bearer := func(want string) {
		t.Helper()
		eventually(t, func() error {
			c, err := relayConfig(t, l)
			if err == nil && (len(c.Sinks) != 2 || c.Sinks[0].Held != "" || c.Sinks[1].Bearer != want) {
				return fmt.Errorf("%+v", c.Sinks)
			}
			return err
		})
	}
	template := func() string {
		d := &appsv1.Deployment{}
		get(t, d, ns, "partners-sftp-relay")
		return d.Spec.Template.Annotations["sftp-operator.io/relay-config"]
	}
	bearer("")
	before := template()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "token"}, StringData: map[string]string{"token": "hunter2\n"}}
	create(t, secret)
	bearer("hunter2")
	eventually(t, func() error {
		if template() == before {
			return errors.New("the relay is not replaced")
		}
		return nil
	})
	change(t, secret, func(s *corev1.Secret) { s.Data["token"] = []byte("hunter3") })
	bearer("hunter3")
	remove(t, secret)
	waitFor(t, l, "EventsDelivered", "False", "SecretNotFound", "")
	bearer("")
	if data, err := json.Marshal(l); err != nil || strings.Contains(string(data), "hunter") {
		t.Errorf("the listener quotes a Secret: %s, %v", data, err)
	}
}

// What relays report becomes conditions.
func TestReceiversInTheStatus(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withEvents(toService("jobs")))
	for _, c := range []struct {
		said           delivery.SinkStatus
		status, reason string
		message        string
		state          v1alpha1.EventSinkState
	}{
		{delivery.SinkStatus{Name: "jobs", Failing: 1, Reason: "no answer within 30s"}, "True", "EventsDelivered", "Receivers accept the events that they are sent", "Delivering"},
		{
			delivery.SinkStatus{Name: "jobs", Failing: 9, Reason: "the receiver answered 500 Internal Server Error", Pending: 12},
			"False", "ReceiverFailing",
			`Sink "jobs": the receiver answered 500 Internal Server Error. Its events are kept and sent again`, "Failing",
		},
		{delivery.SinkStatus{Name: "jobs", Failing: 9, Suspended: "the receiver answered 410 Gone"}, "False", "ReceiverGone", `Sink "jobs": the receiver answered 410 Gone`, "Suspended"},
		{
			delivery.SinkStatus{Name: "jobs", Dead: 2},
			"False", "DeadLetters",
			`Sink "jobs": events could not be delivered, and are kept as dead letters; kubectl sftp events list shows them`, "Delivering",
		},
	} {
		get(t, l, ns, l.Name)
		relays.say(l, c.said)
		restartOperator(t, func() {}) // the new operator asks at once
		waitFor(t, l, "EventsDelivered", c.status, c.reason, c.message)
		if get(t, l, ns, l.Name); len(l.Status.Events) != 1 || l.Status.Events[0].State != c.state || int(*l.Status.Events[0].DeadLetters) != c.said.Dead {
			t.Errorf("%s: %+v", c.reason, l.Status.Events)
		}
		waitFor(t, l, "Ready", "True", "Ready", "")
	}
}

// Unless the platform allows more, the only destinations are Services of the namespace.
func TestDestinations(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withEvents(v1alpha1.EventSink{Name: "out", URL: "https://events.example.com:8443/sftp"}))
	waitFor(t, l, "EventsDelivered", "False", "PlatformPolicy", `Sink "out": spec.events.sinks[out].url must not have the host events.example.com: `+
		"the platform allows none, and Services of the listener's own namespace (bounds.events.hosts). Its events are kept until then")
	waitFor(t, l, "Accepted", "True", "Accepted", "")
	policy := func() *networkingv1.NetworkPolicy {
		p := &networkingv1.NetworkPolicy{}
		get(t, p, ns, "partners-sftp-relay")
		return p
	}
	if n := len(policy().Spec.Egress); n != 2 {
		t.Errorf("the relay of a sink that is held has %d rules", n)
	}
	underPolicy(t, "bounds: {events: {hosts: ['*.example.com'], networks: [10.20.0.0/16]}}")
	eventually(t, func() error {
		c, err := relayConfig(t, l)
		if err != nil {
			return err
		}
		if c.Sinks[0].URL != "https://events.example.com:8443/sftp" || c.Sinks[0].Reach != delivery.ReachPublic || len(c.Sinks[0].Networks) != 1 {
			return fmt.Errorf("%+v", c.Sinks)
		}
		rules := policy().Spec.Egress
		if len(rules) != 3 || len(rules[2].To) != 3 || rules[2].Ports[0].Port.IntVal != 8443 || rules[2].To[2].IPBlock.CIDR != "10.20.0.0/16" ||
			!slices.Contains(rules[2].To[0].IPBlock.Except, "169.254.0.0/16") {
			return fmt.Errorf("%+v", rules)
		}
		return nil
	})
}

// A listener that violates one bound is not exempt from the others: its objects stay as they are, but its relay sends nothing to a
// host that the platform no longer allows, and ends when the events do.
func TestDestinationsOfARefusedSpec(t *testing.T) {
	underPolicy(t, "bounds: {events: {hosts: [events.example.com]}}")
	ns := namespace(t, nil)
	out := v1alpha1.EventSink{Name: "out", URL: "https://events.example.com/sftp"}
	l := readyListener(t, ns, withEvents(out, toService("jobs")), func(l *v1alpha1.SFTPListener) { l.Spec.Service.Type = v1alpha1.ServiceNodePort })
	before := &appsv1.Deployment{}
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp-relay"}, before)
	})
	underPolicy(t, "bounds: {serviceTypes: [ClusterIP], events: {hosts: []}}")
	waitFor(t, l, "Accepted", "False", "PlatformPolicy", "")
	waitFor(t, l, "EventsDelivered", "False", "PlatformPolicy", "")
	eventually(t, func() error {
		c, err := relayConfig(t, l)
		if err != nil {
			return err
		}
		policy, d := &networkingv1.NetworkPolicy{}, &appsv1.Deployment{}
		get(t, policy, ns, "partners-sftp-relay")
		get(t, d, ns, "partners-sftp-relay")
		if len(c.Sinks) != 2 || c.Sinks[0].Held == "" || c.Sinks[1].Held != "" || len(policy.Spec.Egress) != 3 {
			return fmt.Errorf("%+v, %+v", c.Sinks, policy.Spec.Egress)
		}
		const config = "sftp-operator.io/relay-config"
		is, was := d.Spec.Template, before.Spec.Template
		if is.Annotations[config] == was.Annotations[config] {
			return errors.New("the relay is not replaced")
		}
		return nil
	})
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Events = nil })
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "partners-sftp-relay"}, before); err == nil {
			return errors.New("the relay is still there")
		}
		return nil
	})
}
