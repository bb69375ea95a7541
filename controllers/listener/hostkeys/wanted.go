package hostkeys

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// wanted returns the keys of the spec, in its order.
func (s *resolution) wanted(ctx context.Context) ([]hostkey.Key, *conditions.Problem, error) {
	if len(s.Listener.Spec.HostKeyRefs) == 0 {
		s.applyDefault(ctx)
	}
	names := s.names()
	out := make([]hostkey.Key, 0, len(names))
	for _, name := range names {
		k, problem, err := s.find(ctx, name)
		if problem != nil || err != nil {
			return nil, problem, err
		}
		out = append(out, k)
	}
	return out, nil, nil
}

// names returns the names of the SFTPKeys that the spec asks for.
func (s *resolution) names() []string {
	names := make([]string, 0, len(s.Listener.Spec.HostKeyRefs))
	if len(s.Listener.Spec.HostKeyRefs) == 0 {
		for _, k := range render.HostKeys(s.Listener, s.Earlier) {
			names = append(names, k.Name)
		}
	}
	for _, ref := range s.Listener.Spec.HostKeyRefs {
		names = append(names, ref.Name)
	}
	return names
}

// applyDefault applies the SFTPKeys of a listener without hostKeyRefs. An existing one is used even if it could not be
// applied.
func (s *resolution) applyDefault(ctx context.Context) {
	s.refusals = map[string]error{}
	for _, k := range render.HostKeys(s.Listener, s.Earlier) {
		_, err := s.Applier.For(s.Listener).Apply(ctx, k)
		s.refusals[k.Name] = err
		if s.out.Refusal == nil {
			s.out.Refusal = err
		}
	}
}

// find returns the key that an SFTPKey currently defines, and records its material.
func (s *resolution) find(ctx context.Context, name string) (hostkey.Key, *conditions.Problem, error) {
	k := &v1alpha1.SFTPKey{}
	err, refusal := s.Client.Get(ctx, s.inNamespace(name), k), s.refusals[name]
	switch {
	case apierrors.IsNotFound(err) && len(s.Listener.Spec.HostKeyRefs) == 0:
		if refusal != nil {
			p := &conditions.Problem{
				Reason: v1alpha1.ReasonHostKeyNotFound, Message: fmt.Sprintf("SFTPKey %q cannot be created: %v", name, refusal),
			}
			return hostkey.Key{}, p, nil
		}
		// It was just applied; its event triggers another reconcile.
		return hostkey.Key{}, pending("SFTPKey %q is being created", name), nil
	case apierrors.IsNotFound(err):
		return hostkey.Key{}, &conditions.Problem{
			Reason:  v1alpha1.ReasonHostKeyNotFound,
			Message: fmt.Sprintf("SFTPKey %q does not exist in namespace %q; create it or correct spec.hostKeyRefs", name, s.Listener.Namespace),
		}, nil
	case err != nil:
		return hostkey.Key{}, nil, fmt.Errorf("read SFTPKey %s: %w", name, err)
	case len(s.Listener.Spec.HostKeyRefs) == 0 && conflicts(refusal):
		return hostkey.Key{}, &conditions.Problem{
			Reason: v1alpha1.ReasonResourceConflict, Message: refusal.Error() + ". To use it as it is, name it in spec.hostKeyRefs",
		}, nil
	case k.Spec.Usage != v1alpha1.KeyUsageHost:
		return hostkey.Key{}, &conditions.Problem{
			Reason: v1alpha1.ReasonInvalidHostKey, Message: fmt.Sprintf("SFTPKey %q has usage %s; a host key needs usage Host", name, k.Spec.Usage),
		}, nil
	}
	secret, err := s.secret(ctx, key.SecretName(k))
	if err != nil {
		return hostkey.Key{}, nil, err
	}
	return s.accept(k, key.Decide(k, secret))
}

func conflicts(err error) bool {
	var conflict *apply.ConflictError
	return errors.As(err, &conflict)
}

// accept turns a verdict on an SFTPKey into a wanted key.
func (s *resolution) accept(k *v1alpha1.SFTPKey, v key.Verdict) (hostkey.Key, *conditions.Problem, error) {
	ready := conditions.IsTrue([]metav1.Condition{v.Condition}, v1alpha1.ConditionReady)
	if c := meta.FindStatusCondition(k.Status.Conditions, v1alpha1.ConditionReady); v.Generate && c != nil {
		switch c.Reason {
		case v1alpha1.ReasonApplyFailed:
			return hostkey.Key{}, &conditions.Problem{
				Reason: v1alpha1.ReasonHostKeyNotFound, Message: fmt.Sprintf("The key of SFTPKey %q cannot be stored. %s", k.Name, c.Message),
			}, nil
		case v1alpha1.ReasonSecretNotFound:
			return hostkey.Key{}, &conditions.Problem{
				Reason: v1alpha1.ReasonHostKeyNotFound, Message: fmt.Sprintf("SFTPKey %q: %s", k.Name, c.Message),
			}, nil
		}
	}
	if v.Generate || k.Status.PublicKey == "" && ready {
		// If it is generated again, it is not known yet which of its former revisions it adopts.
		return hostkey.Key{}, pending("The key of SFTPKey %q is being created", k.Name), nil
	}
	if !ready {
		reason := v1alpha1.ReasonInvalidHostKey
		if v.Condition.Reason == v1alpha1.ReasonSecretNotFound {
			reason = v1alpha1.ReasonHostKeyNotFound
		}
		return hostkey.Key{}, &conditions.Problem{Reason: reason, Message: s.withKept(fmt.Sprintf("SFTPKey %q: %s", k.Name, v.Condition.Message))}, nil
	}
	if err := s.Policy.CheckHostKey(v.Material.Public); err != nil {
		return hostkey.Key{}, &conditions.Problem{
			Reason: v1alpha1.ReasonInvalidHostKey, Message: s.withKept(fmt.Sprintf("SFTPKey %q: %v", k.Name, err)),
		}, nil
	}
	out := hostkey.Key{Name: k.Name, Fingerprint: v.Material.Fingerprint(), Type: v.Material.Public.Type(), Overlap: key.Overlap(k)}
	if k.Spec.Source != v1alpha1.KeyExisting {
		out.Revision = key.Revision(k)
	}
	m, err := WithCertificate(v.Material, s.Policy)
	if err != nil && s.out.CertificateProblem == nil {
		s.out.CertificateProblem = &conditions.Problem{
			Reason: v1alpha1.ReasonInvalidHostCertificate, Message: fmt.Sprintf("SFTPKey %q works without its host certificate: %v", k.Name, err),
		}
	}
	s.material[out.Fingerprint] = m
	return out, nil, nil
}

func pending(format string, args ...any) *conditions.Problem {
	return &conditions.Problem{Reason: v1alpha1.ReasonPending, Message: fmt.Sprintf(format, args...)}
}

// secret reads the Secret of a key, nil if there is none. An unchanged one costs no API call: the cached metadata has its
// version.
func (s *resolution) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	id := s.inNamespace(name)
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	known := s.cache.secrets[id]
	if err := s.Client.Get(ctx, id, m); err == nil && known != nil && known.UID == m.UID && known.ResourceVersion == m.ResourceVersion {
		return known, nil
	}
	delete(s.cache.secrets, id)
	secret := &corev1.Secret{}
	err := s.Live.Get(ctx, id, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	if s.cache.secrets == nil {
		s.cache.secrets = map[types.NamespacedName]*corev1.Secret{}
	}
	s.cache.secrets[id] = secret
	return secret, nil
}

func (s *resolution) inNamespace(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Listener.Namespace, Name: name}
}
