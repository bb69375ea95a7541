// Package hostkeys finds the host keys that a listener wants and has, and takes the next step between them. If a key
// cannot be used, all stay unchanged: no endpoint loses or changes a host key because an object is missing.
package hostkeys

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Resolver reads host keys.
type Resolver struct {
	// Client reads from the caches, and Live past them: no cache holds a Secret.
	Client  client.Client
	Live    client.Reader
	Applier *apply.Applier
}

// Input is what a resolution depends on besides the cluster.
type Input struct {
	// Listener with its status, which has the keys as last decided.
	Listener *v1alpha1.SFTPListener
	Policy   render.Policy
	Now      time.Time
	// Acknowledged reports whether every ready pod, and at least one, has loaded keys and states with a signature.
	Acknowledged func(signature string) bool
	// Earlier are the keys that a listener with this name had before it was recreated, with their states. Clients know them, so
	// those that are wanted again replace the listener's current keys at once.
	Earlier []v1alpha1.HostKeyStatus
}

// Result is what was found and decided.
type Result struct {
	// Keys to have from now on, nil if they stay unchanged because of Problem.
	Keys []hostkey.Held
	// Private are the same keys in the form for pods, or those that stay because of Problem; nil if one of those cannot
	// be found.
	Private []render.PrivateHostKey
	// Status are the keys for the listener's status, without the users who have proof of them.
	Status  []v1alpha1.HostKeyStatus
	Changes []hostkey.Change
	// Next is when a state changes with time, zero if none does.
	Next time.Time
	// Problem keeps the keys from changing. CertificateProblem only excludes a host certificate.
	Problem, CertificateProblem *conditions.Problem
	// Signature is the same text for the same keys in the same states, and Fingerprints are the keys'; both describe
	// Private.
	Signature    string
	Fingerprints []string
	// Restored is set if Keys come from Input.Earlier.
	Restored bool
	// Certificates are the host certificates that expire.
	Certificates []Certificate
	// Refusal is why an SFTPKey of a listener without hostKeyRefs could not be applied.
	Refusal error
}

// Certificate is the host certificate of an SFTPKey.
type Certificate struct {
	Key string
	// Renewal is when it becomes due for renewal.
	Renewal, End time.Time
}

// WaitsForPods reports whether a key's next step waits until pods have acknowledged the current one.
func (r Result) WaitsForPods() bool {
	return slices.ContainsFunc(r.Keys, func(k hostkey.Held) bool { return k.WaitingFor == v1alpha1.HostKeyWaitPods })
}

// Signature returns the same text for the same keys in the same states.
func Signature(keys []hostkey.Held) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintln(&b, keys[i].Fingerprint, keys[i].State)
	}
	return b.String()
}

// resolution is one call of Resolve.
type resolution struct {
	*Resolver
	Input
	cache *Cache
	// material by fingerprint.
	material map[string]Material
	// refusals are why SFTPKeys of a listener without hostKeyRefs could not be applied, by name.
	refusals map[string]error
	out      Result
}

// Resolve reads the wanted host keys and decides how to get there from the current ones. The cache must be the listener's
// own. An error comes from the API server: nothing was decided.
func (r *Resolver) Resolve(ctx context.Context, in Input, cache *Cache) (Result, error) {
	s := &resolution{Resolver: r, Input: in, cache: cache, material: map[string]Material{}}
	held, err := s.held(ctx)
	if err != nil {
		return Result{}, err
	}
	wanted, problem, err := s.wanted(ctx)
	if err != nil {
		return Result{}, err
	}
	if problem == nil {
		plan := hostkey.Decide(hostkey.Input{
			Now: in.Now, Wanted: wanted, Held: held,
			Acknowledged: len(held) > 0 && in.Acknowledged(Signature(held)),
		})
		if problem = s.unusable(plan.Keys); problem == nil {
			s.out.Keys, s.out.Changes, s.out.Next = plan.Keys, plan.Changes, plan.Next()
			s.out.Restored = len(s.earlier()) > 0 && len(plan.Keys) > 0
			s.out.Private, s.out.Status, s.out.Signature = s.private(plan.Keys), s.describe(plan.Keys), Signature(plan.Keys)
			s.out.Certificates = s.certificates(plan.Keys)
			cache.held = s.out.Status
			return s.out, nil
		}
	}
	s.out.Problem = problem
	if len(held) > 0 && s.has(held) {
		s.out.Private, s.out.Signature = s.private(held), Signature(held)
	}
	return s.out, nil
}

// has reports whether the private keys are available.
func (s *resolution) has(keys []hostkey.Held) bool {
	return !slices.ContainsFunc(keys, func(k hostkey.Held) bool { return s.material[k.Fingerprint].Private == nil })
}

// unusable returns why keys cannot be given to pods, nil if they can. Wanted keys have already been checked.
func (s *resolution) unusable(keys []hostkey.Held) *conditions.Problem {
	const remedy = "set rotation.overlapSeconds of the key that follows it to 0 to continue without it"
	for i := range keys {
		k := &keys[i]
		m := s.material[k.Fingerprint]
		if m.Private == nil {
			return &conditions.Problem{
				Reason: v1alpha1.ReasonHostKeyNotFound,
				Message: fmt.Sprintf("The private half of the %s host key %s, formerly of SFTPKey %q, is neither in a Secret of that SFTPKey nor in Secret %q; restore one of them, or %s",
					k.State, k.Fingerprint, k.Name, render.ConfigSecretName(s.Listener), remedy),
			}
		}
		if err := s.Policy.CheckHostKey(m.Public); err != nil {
			return &conditions.Problem{
				Reason: v1alpha1.ReasonInvalidHostKey,
				Message: s.withKept(fmt.Sprintf("The %s host key %s of SFTPKey %q: %v; restore the previous spec.cryptoPolicy until its rotation is complete, or %s",
					k.State, k.Fingerprint, k.Name, err, remedy)),
			}
		}
	}
	return nil
}

// private returns keys in the form for pods, and keeps copies: if a Secret's content is replaced, they are all that is
// left.
func (s *resolution) private(keys []hostkey.Held) []render.PrivateHostKey {
	out := make([]render.PrivateHostKey, 0, len(keys))
	copies := make(map[string]Material, len(keys))
	s.out.Fingerprints = nil
	for i := range keys {
		s.out.Fingerprints = append(s.out.Fingerprints, keys[i].Fingerprint)
		m := s.material[keys[i].Fingerprint]
		copies[keys[i].Fingerprint] = m
		out = append(out, render.PrivateHostKey{Private: m.Private, State: keys[i].State, Certificate: m.CertificateLine()})
	}
	s.cache.copies = copies
	return out
}

// describe returns keys in the form of the status.
func (s *resolution) describe(keys []hostkey.Held) []v1alpha1.HostKeyStatus {
	optional := func(at time.Time) *metav1.Time {
		if at.IsZero() {
			return nil
		}
		return new(metav1.NewTime(at))
	}
	out := make([]v1alpha1.HostKeyStatus, 0, len(keys))
	for i := range keys {
		k := &keys[i]
		var end *metav1.Time
		if c := s.material[k.Fingerprint].Certificate; c != nil {
			end = key.CertificateEnd(c)
		}
		out = append(out, v1alpha1.HostKeyStatus{
			Name: k.Name, Revision: k.Revision, Algorithm: k.Type, Fingerprint: k.Fingerprint, PublicKey: s.material[k.Fingerprint].Line(),
			State: k.State, StateTime: optional(k.Since), NextStateTime: optional(k.Next), WaitingFor: k.WaitingFor,
			CertificateExpirationTime: end,
		})
	}
	return out
}

// certificates returns the certificates that clients rely on, one of each SFTPKey, in their order: not those of keys that
// clients have not been told of, or that another one has replaced. If a key has two revisions, it is the one that expires
// first.
func (s *resolution) certificates(keys []hostkey.Held) (out []Certificate) {
	for i := range keys {
		k := &keys[i]
		c := s.material[k.Fingerprint].Certificate
		if c == nil || k.State == v1alpha1.HostKeyStaged || k.State == v1alpha1.HostKeyRetiring {
			continue
		}
		end := key.CertificateEnd(c)
		if end == nil {
			continue
		}
		next := Certificate{Key: k.Name, Renewal: key.CertificateRenewal(c), End: end.Time}
		at := slices.IndexFunc(out, func(o Certificate) bool { return o.Key == k.Name })
		switch {
		case at < 0:
			out = append(out, next)
		case next.End.Before(out[at].End):
			out[at] = next
		}
	}
	return out
}

// withKept adds that the pods are not affected, and where the keys still are.
func (s *resolution) withKept(message string) string {
	if len(s.cache.copies) == 0 {
		return message
	}
	return fmt.Sprintf("%s. The pods keep the host keys that they have; copies of the private keys are in Secret %q",
		message, render.ConfigSecretName(s.Listener))
}
