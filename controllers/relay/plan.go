// Package relay plans the relay that delivers a listener's events: from the spec, the Secrets that it refers to and the
// platform's bounds, it makes the relay's configuration and a list of problems. It is pure. A sink that cannot be used is
// held, which means that its events are kept. The other sinks, and the rest of the listener, do not depend on it.
package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/filter"
)

// Values that the API documents as defaults.
const (
	defaultTimeoutSeconds = 30
	defaultGiveUpSeconds  = 86400
)

// Secret is what is known of a Secret.
type Secret struct {
	// Missing is set if it does not exist, and Failure is why it cannot be read.
	Missing bool
	Failure string
	Data    map[string][]byte
}

// Input is what a relay's configuration is made from.
type Input struct {
	Listener *v1alpha1.SFTPListener
	Platform *platform.Policy
	// Secret returns what is known of a Secret in the listener's namespace.
	Secret func(name string) Secret
	// Key is config.EventsKey.
	Key string
}

// Plan is the result.
type Plan struct {
	// Config is the relay's configuration. It contains credentials.
	Config delivery.Config
	// Problems are why sinks are held, in the order of the spec.
	Problems []conditions.Problem
	// Unreadable lists the Secrets that currently cannot be read.
	Unreadable []string
}

// Wanted reports whether a listener wants its events delivered.
func Wanted(l *v1alpha1.SFTPListener) bool {
	return l.Spec.Events != nil && len(l.Spec.Events.Sinks) > 0
}

// Refs returns the names of the Secrets that a listener's sinks refer to.
func Refs(l *v1alpha1.SFTPListener) []string {
	var out []string
	each(l, func(secret, _ string) {
		if !slices.Contains(out, secret) {
			out = append(out, secret)
		}
	})
	return out
}

// Part returns the part of a Secret that a listener's sinks can use: the entries that they refer to, and of an entry that is
// too long only as much as it takes to notice. Secrets are kept in memory, and anyone who may write them decides how large
// they are.
func Part(l *v1alpha1.SFTPListener, name string, data map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	each(l, func(secret, entry string) {
		if value, has := data[entry]; has && secret == name {
			out[entry] = bytes.Clone(value[:min(len(value), delivery.MaxCredential+1)]) // a copy, so that the rest can be freed
		}
	})
	return out
}

// each calls ref for each Secret entry that a listener's sinks refer to.
func each(l *v1alpha1.SFTPListener, ref func(secret, entry string)) {
	if l.Spec.Events == nil {
		return
	}
	for i := range l.Spec.Events.Sinks {
		a := &l.Spec.Events.Sinks[i].Authentication
		for _, r := range []*v1alpha1.SecretFileReference{a.BearerSecretRef, a.HMACSecretRef} {
			if r != nil {
				ref(r.Name, r.Key)
			}
		}
		if r := a.ClientCertificateSecretRef; r != nil {
			ref(r.Name, certificateEntry)
			ref(r.Name, privateKeyEntry)
		}
	}
}

// Compose plans the relay of a listener that is Wanted.
func Compose(in Input) Plan {
	out := Plan{Config: delivery.Config{
		Namespace: in.Listener.Namespace, Listener: in.Listener.Name, Pods: render.PodsHost(in.Listener), Port: render.HealthPort, Key: in.Key,
	}}
	room := delivery.MaxConfig - sizeOf(out.Config)
	for i := range in.Listener.Spec.Events.Sinks {
		s := sink{Input: in, spec: &in.Listener.Spec.Events.Sinks[i]}
		composed := s.compose()
		s.check(composed, room)
		if len(s.problems) > 0 || len(s.unreadable) > 0 {
			// The reason is in the condition. The relay only needs to know that there is one.
			composed = delivery.Sink{Name: s.spec.Name, Held: "see the listener's condition " + v1alpha1.ConditionEventsDelivered}
		}
		room -= sizeOf(composed)
		out.Config.Sinks = append(out.Config.Sinks, composed)
		out.Problems = append(out.Problems, s.problems...)
		out.Unreadable = append(out.Unreadable, s.unreadable...)
	}
	return out
}

// sink is the state of composing one sink.
type sink struct {
	Input
	spec       *v1alpha1.EventSink
	problems   []conditions.Problem
	unreadable []string
}

func (s *sink) problem(reason, format string, args ...any) {
	message := fmt.Sprintf("Sink %q: %s. Its events are kept until then", s.spec.Name, fmt.Sprintf(format, args...))
	s.problems = append(s.problems, conditions.Problem{Reason: reason, Message: message})
}

func (s *sink) compose() delivery.Sink {
	out := delivery.Sink{
		Name: s.spec.Name, Format: delivery.FormatStructured, Filter: s.spec.Filter, CABundle: s.spec.CABundle,
		TimeoutSeconds: or(s.spec.TimeoutSeconds, defaultTimeoutSeconds), GiveUpSeconds: or(s.spec.GiveUpAfterSeconds, defaultGiveUpSeconds),
	}
	if s.spec.Format == v1alpha1.EventBinary {
		out.Format = delivery.FormatBinary
	}
	for _, u := range s.spec.Users {
		namespace, name := u.Namespace, u.Name
		if namespace == "" {
			namespace = s.Listener.Namespace
		}
		if u.Selector != nil {
			if _, err := metav1.LabelSelectorAsSelector(u.Selector.LabelSelector()); err != nil {
				s.problem(v1alpha1.ReasonInvalidEventSink, "one of its user selectors is invalid: %.300v; correct spec.events.sinks[%s].users", err, s.spec.Name)
			}
		}
		if name == "" {
			name = "*" // with a selector, the pods choose, see render.EventSinksOf; here, it bounds the namespace
		}
		if as := namespace + "/" + name; !slices.Contains(out.Users, as) {
			out.Users = append(out.Users, as)
		}
	}
	if _, err := filter.Parse(s.spec.Filter); err != nil {
		s.problem(v1alpha1.ReasonInvalidEventSink, "its filter is invalid: %v; correct spec.events.sinks[%s].filter", err, s.spec.Name)
	}
	s.destination(&out)
	s.credentials(&out)
	return out
}

// heldSize is more than a held sink needs.
const heldSize = 512

// check holds a sink that the relay would reject or that does not fit into its configuration together with the remaining
// sinks. Otherwise the relay would reject the whole configuration.
func (s *sink) check(composed delivery.Sink, room int) {
	if len(s.problems)+len(s.unreadable) > 0 {
		return
	}
	if err := composed.Validate(); err != nil {
		s.problem(v1alpha1.ReasonInvalidEventSink, "it is invalid: %v; correct spec.events.sinks[%s]", err, s.spec.Name)
	} else if sizeOf(composed) > room-delivery.MaxSinks*heldSize {
		s.problem(v1alpha1.ReasonInvalidEventSink,
			"its credentials and caBundle, together with those of earlier sinks, exceed the limit of %d bytes for all; use shorter ones", delivery.MaxConfig)
	}
}

// sizeOf returns the size of a part of the configuration, with a separator.
func sizeOf(v any) int {
	encoded, err := json.Marshal(v)
	if err != nil {
		return delivery.MaxConfig
	}
	return len(encoded) + 1
}

// destination fills in where events go.
func (s *sink) destination(out *delivery.Sink) {
	if ref := s.spec.ServiceRef; ref != nil {
		u := url.URL{Scheme: "http", Host: net.JoinHostPort(ref.Name+"."+s.Listener.Namespace+".svc", strconv.Itoa(int(ref.Port)))}
		if ref.Scheme == v1alpha1.EventSchemeHTTPS {
			u.Scheme = "https"
		}
		path := ref.Path
		if path == "" {
			path = "/"
		}
		out.URL, out.Reach = u.String()+path, delivery.ReachService
		return
	}
	u, err := url.Parse(s.spec.URL)
	if err != nil || u.Hostname() == "" { // the API server has validated it
		s.problem(v1alpha1.ReasonInvalidEventSink, "its URL cannot be parsed; correct spec.events.sinks[%s].url", s.spec.Name)
		return
	}
	out.URL, out.Reach = s.spec.URL, delivery.ReachPublic
	namespace, isService := render.ServiceNamespace(u.Hostname())
	if isService {
		out.Reach = delivery.ReachService
	}
	if isService && namespace == s.Listener.Namespace {
		return
	}
	if refusal := s.Platform.EventHost(u.Hostname()); refusal != "" {
		s.problem(v1alpha1.ReasonPlatformPolicy, "spec.events.sinks[%s].url %s", s.spec.Name, refusal)
		return
	}
	out.Networks = s.Platform.EventNetworks()
}

func or(v *int32, otherwise int) int {
	if v == nil {
		return otherwise
	}
	return int(*v)
}
