package listener

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

type conditionProblem struct{ reason, message string }

// resolveHostKeys reads the host keys that are wanted and goes a step from those that are to
// them. When one cannot be used, all stay as they are: no endpoint loses or changes a host key
// because an object is missing.
func (s *scope) resolveHostKeys(ctx context.Context) error {
	held, err := s.heldHostKeys(ctx)
	if err != nil {
		return err
	}
	wanted, problem, err := s.wantedHostKeys(ctx)
	if err != nil {
		return err
	}
	if problem == nil {
		plan := hostkey.Decide(hostkey.Input{
			Now: s.Now(), Wanted: wanted, Held: held,
			Acknowledged: len(held) > 0 && s.memory.ackedHostKeys == signature(held),
		})
		if problem = s.unusable(plan.Keys); problem == nil {
			return s.followPlan(ctx, plan)
		}
	}
	s.unresolved(problem.reason, problem.message)
	if len(held) > 0 && s.has(held) {
		s.memory.hostKeys = s.private(held)
	}
	return nil
}

// followPlan makes a plan so. It is in the status before it is in the pods: an operator that
// ends in between goes on from there.
func (s *scope) followPlan(ctx context.Context, plan hostkey.Plan) error {
	s.plan = &plan
	s.listener.Status.HostKeys = s.describeHostKeys(plan.Keys)
	if len(plan.Changes) > 0 {
		s.describeKnownHosts()
		if err := s.Client.Status().Patch(ctx, s.listener, client.MergeFrom(s.before)); err != nil {
			return fmt.Errorf("write the states of host keys: %w", err)
		}
		s.written.Note(s.listener)
		s.before = s.listener.DeepCopy()
		s.announceHostKeys(plan.Changes)
	}
	s.memory.hostKeys, s.memory.heldHostKeys = s.private(plan.Keys), s.listener.Status.HostKeys
	if at := plan.Next(); !at.IsZero() {
		s.retryAt(at)
	}
	return nil
}

// signature is the same for the same keys in the same states.
func signature(keys []hostkey.Held) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintln(&b, k.Fingerprint, k.State)
	}
	return b.String()
}

// noteHostKeysAcknowledged remembers which states every ready pod has loaded. If one waits
// for that, the next step is to be taken.
func (s *scope) noteHostKeysAcknowledged() {
	if s.plan == nil {
		return
	}
	now := ""
	if s.acked {
		now = signature(s.plan.Keys)
	}
	if now != "" && now != s.memory.ackedHostKeys {
		for i := range s.plan.Keys {
			if s.plan.Keys[i].WaitingFor == v1alpha1.HostKeyWaitPods {
				s.retryAt(s.Now())
			}
		}
	}
	s.memory.ackedHostKeys = now
}

// has says whether the private halves of keys are there.
func (s *scope) has(keys []hostkey.Held) bool {
	return !slices.ContainsFunc(keys, func(k hostkey.Held) bool { return s.material[k.Fingerprint].Private == nil })
}

// unusable is why keys cannot be given to pods, nil if they can. Those that are wanted have
// been looked at before.
func (s *scope) unusable(keys []hostkey.Held) *conditionProblem {
	const remedy = "set rotation.overlapSeconds of the key that is to follow it to 0, to go on without it"
	for i := range keys {
		k := &keys[i]
		m := s.material[k.Fingerprint]
		if m.Private == nil {
			return &conditionProblem{
				v1alpha1.ReasonHostKeyNotFound,
				fmt.Sprintf("The private half of the %s host key %s, once of SFTPKey %q, is neither in a Secret of that nor in Secret %q; restore one of them, or %s",
					k.State, k.Fingerprint, k.Name, render.ConfigSecretName(s.listener), remedy),
			}
		}
		if err := s.policy.CheckHostKey(m.Public); err != nil {
			return &conditionProblem{
				v1alpha1.ReasonInvalidHostKey,
				s.withKept(fmt.Sprintf("The %s host key %s of SFTPKey %q: %v; set spec.cryptoPolicy back until its rotation is over, or %s",
					k.State, k.Fingerprint, k.Name, err, remedy)),
			}
		}
	}
	return nil
}

// private are keys as pods get them.
func (s *scope) private(keys []hostkey.Held) []render.PrivateHostKey {
	out := make([]render.PrivateHostKey, 0, len(keys))
	copies := make(map[string]hostKeyMaterial, len(keys))
	for i := range keys {
		m := s.material[keys[i].Fingerprint]
		copies[keys[i].Fingerprint] = m
		out = append(out, render.PrivateHostKey{Private: m.Private, State: keys[i].State, Certificate: m.certificateLine()})
	}
	s.memory.copies = copies
	return out
}

// heldHostKeys are the keys as they were decided last. A status that was lost, as by a backup
// that has none, is made again from what the pods have.
func (s *scope) heldHostKeys(ctx context.Context) ([]hostkey.Held, error) {
	s.material = map[string]hostKeyMaterial{}
	list := s.before.Status.HostKeys
	if len(list) == 0 {
		list = s.memory.heldHostKeys
	}
	out := make([]hostkey.Held, 0, len(list))
	for i := range list {
		k := &list[i]
		h := hostkey.Held{
			Key:   hostkey.Key{Name: k.Name, Revision: k.Revision, Fingerprint: k.Fingerprint, Type: k.Algorithm},
			State: k.State,
		}
		if k.StateTime != nil {
			h.Since = k.StateTime.Time
		}
		m, overlap, err := s.formerHostKey(ctx, k)
		if err != nil {
			return nil, err
		}
		s.material[k.Fingerprint], h.Overlap = m, overlap
		out = append(out, h)
	}
	return out, nil
}

// wantedHostKeys are those of the spec, in its order.
func (s *scope) wantedHostKeys(ctx context.Context) ([]hostkey.Key, *conditionProblem, error) {
	names := make([]string, 0, len(s.listener.Spec.HostKeyRefs))
	for _, ref := range s.listener.Spec.HostKeyRefs {
		names = append(names, ref.Name)
	}
	if len(names) == 0 {
		if _, err := s.Applier.For(s.listener).Apply(ctx, render.HostKey(s.listener)); err != nil {
			return nil, nil, s.refused(err)
		}
		names = append(names, render.DefaultHostKeyName(s.listener))
	}
	out := make([]hostkey.Key, 0, len(names))
	for _, name := range names {
		k, m, problem, err := s.hostKey(ctx, name)
		if problem != nil || err != nil {
			return nil, problem, err
		}
		s.material[k.Fingerprint] = m
		out = append(out, k)
	}
	return out, nil, nil
}

// describeHostKeys are keys as the status has them.
func (s *scope) describeHostKeys(keys []hostkey.Held) []v1alpha1.HostKeyStatus {
	optional := func(at metav1.Time) *metav1.Time {
		if at.IsZero() {
			return nil
		}
		return &at
	}
	proved := s.provedUsers()
	out := make([]v1alpha1.HostKeyStatus, 0, len(keys))
	for i := range keys {
		k := &keys[i]
		var end *metav1.Time
		if c := s.material[k.Fingerprint].certificate; c != nil {
			end = key.CertificateEnd(c)
		}
		out = append(out, v1alpha1.HostKeyStatus{
			Name: k.Name, Revision: k.Revision, Algorithm: k.Type, Fingerprint: k.Fingerprint, PublicKey: s.material[k.Fingerprint].Line(),
			State: k.State, StateTime: optional(metav1.NewTime(k.Since)), NextStateTime: optional(metav1.NewTime(k.Next)), WaitingFor: k.WaitingFor,
			ProvedUsers: new(proved[k.Fingerprint]), CertificateExpirationTime: end,
		})
	}
	return out
}

// describeKnownHosts says what clients need to know of the host keys.
func (s *scope) describeKnownHosts() {
	st := &s.listener.Status
	st.KnownHosts = render.KnownHosts(st.Addresses, st.HostKeys)
	st.SSHFP = render.SSHFP(st.HostKeys)
}

// provedUsers counts, for each host key, the attached users who have proof of it.
func (s *scope) provedUsers() map[string]int32 {
	out := map[string]int32{}
	for _, d := range s.decisions {
		if !d.Accepted() {
			continue
		}
		for _, fingerprint := range s.provedHostKeys(d.User) {
			out[fingerprint]++
		}
	}
	return out
}

// provedHostKeys are the host keys that a user has proof of, sorted.
func (s *scope) provedHostKeys(u *v1alpha1.SFTPUser) []string {
	var out []string
	for i := range s.listener.Status.HostKeys {
		k := s.listener.Status.HostKeys[i].Fingerprint
		if s.memory.proved[u.UID][k] || slices.Contains(u.Status.ProvedHostKeys, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func (s *scope) hostKeyName(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: s.listener.Namespace, Name: name}
}
