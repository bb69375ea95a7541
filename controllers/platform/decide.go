package platform

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Decision is the result of applying a policy to a listener.
type Decision struct {
	// Listener is a copy with the defaults, and with the crypto policy that may be offered. It is the listener itself
	// without a policy.
	Listener *v1alpha1.SFTPListener
	// Defaults are the defaults that were filled in.
	Defaults []v1alpha1.PlatformDefault
	// Violations are what the bounds do not allow; with any, the objects of the listener stay as they are.
	Violations []Violation
	// Unusable is set if the policy cannot be read, which is one of the Violations.
	Unusable bool
	// Next is when the same listener gives a different decision, zero for never.
	Next time.Time
}

// Decide applies a policy to a listener. It needs nothing but the listener, so delivering access never has to wait.
func (p *Policy) Decide(l *v1alpha1.SFTPListener, now time.Time) Decision {
	if p == nil {
		return Decision{Listener: l}
	}
	if p.unusable {
		return hold(l)
	}
	d := Decision{}
	d.Listener, d.Defaults = p.apply(l)
	d.Violations = p.violations(d.Listener, now)
	for _, v := range d.Violations {
		switch v.Field {
		case fieldCryptoEnd:
			if days := p.Bounds.LegacyMaxDays; v.Rule == "bounds.legacyMaxDays" && days != nil {
				d.Next = l.Spec.CryptoPolicyExpirationTime.AddDate(0, 0, -int(*days))
			}
			keepCrypto(d.Listener)
		case fieldCryptoPolicy:
			keepCrypto(d.Listener)
		}
	}
	reportOnly(d.Listener, d.Violations)
	keepSpans(d.Listener, d.Violations)
	return d
}

// hold keeps everything that an unknown policy might bound: what the platform allows is unknown. Who may log in does not depend
// on it.
func hold(l *v1alpha1.SFTPListener) Decision {
	d := Decision{Listener: l.DeepCopy(), Unusable: true, Violations: []Violation{{Message: "the platform's policy cannot be used"}}}
	keepCrypto(d.Listener)
	d.Listener.Spec.Tracing = v1alpha1.ListenerTracing{}
	for i := range d.Listener.Spec.Retention.Rules {
		d.Listener.Spec.Retention.Rules[i].Mode = v1alpha1.RetentionReport
	}
	return d
}

// reportOnly keeps rules of retention from deleting that break a bound: the daemon's settings are delivered whatever the
// platform refuses.
func reportOnly(l *v1alpha1.SFTPListener, violations []Violation) {
	rules := l.Spec.Retention.Rules
	for i := range rules {
		if slices.ContainsFunc(violations, func(v Violation) bool {
			return v.Field == RetentionField(rules[i].Name, "mode") || v.Field == RetentionField(rules[i].Name, "deleteAfterSeconds")
		}) {
			rules[i].Mode = v1alpha1.RetentionReport
		}
	}
}

// keepCrypto gives a listener the crypto policy that it offers, and not the one that it asks for: a new bound must not keep
// clients out that are served today, and a refused policy must not be offered. The status has it; a listener without one
// offers Modern2026.
func keepCrypto(l *v1alpha1.SFTPListener) {
	l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = l.Status.CryptoPolicy, l.Status.CryptoPolicyExpirationTime
	if l.Spec.CryptoPolicy == "" {
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoModern2026, nil
	}
}

// AsServed returns a listener as it is served, by its status only: with the crypto policy that it offers if the platform
// refuses its spec. It is for those who do not have the policy.
func AsServed(l *v1alpha1.SFTPListener) *v1alpha1.SFTPListener {
	c := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionAccepted)
	if c == nil || c.Reason != v1alpha1.ReasonPlatformPolicy {
		return l
	}
	l = l.DeepCopy()
	keepCrypto(l)
	return l
}

// Refusal describes what the platform does not allow, and what happens to the listener; "" if it allows everything.
func (d Decision) Refusal() string {
	switch {
	case len(d.Violations) == 0:
		return ""
	case d.Unusable:
		return "The platform's policy cannot be used, so pods, Service and claims stay as they are until the platform team corrects it; the operator's log has the reason"
	}
	out := make([]string, 0, len(d.Violations))
	for _, v := range d.Violations {
		out = append(out, v.Message)
	}
	return "The platform does not allow the spec, so pods, Service and claims stay as they are: " + strings.Join(out, "; ")
}
