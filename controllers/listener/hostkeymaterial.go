package listener

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
)

// hostKeyMaterial is a host key with its private half.
type hostKeyMaterial struct {
	key.Material
	// certificate is one that the policy admits, nil for none.
	certificate *ssh.Certificate
}

// withCertificate finds the certificate of a key that can be presented under the policy, and
// under the one that comes after it. The key is usable with an error, too.
func (s *scope) withCertificate(m key.Material) (hostKeyMaterial, error) {
	out := hostKeyMaterial{Material: m}
	c, err := key.HostCertificate(m, s.policy.Policy)
	if err == nil && s.policy.Expires != nil {
		var next cryptopolicy.Policy
		if next, err = cryptopolicy.Lookup(cryptopolicy.Default); err == nil {
			c, err = key.HostCertificate(m, next)
		}
	}
	if err == nil {
		out.certificate = c
	}
	return out, err
}

// certificateLine is the certificate as pods get it, "" for none.
func (m hostKeyMaterial) certificateLine() string {
	if m.certificate == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(m.certificate)))
}

// hostKey is the key that an SFTPKey wants now.
func (s *scope) hostKey(ctx context.Context, name string) (hostkey.Key, hostKeyMaterial, *conditionProblem, error) {
	no := func(reason, format string, args ...any) (hostkey.Key, hostKeyMaterial, *conditionProblem, error) {
		return hostkey.Key{}, hostKeyMaterial{}, &conditionProblem{reason, fmt.Sprintf(format, args...)}, nil
	}
	k := &v1alpha1.SFTPKey{}
	err := s.Client.Get(ctx, s.hostKeyName(name), k)
	switch {
	case apierrors.IsNotFound(err) && len(s.listener.Spec.HostKeyRefs) == 0:
		// It was applied just now; its event will bring us back.
		return no(v1alpha1.ReasonPending, "SFTPKey %q is being made", name)
	case apierrors.IsNotFound(err):
		return no(v1alpha1.ReasonHostKeyNotFound, "SFTPKey %q does not exist in namespace %q; create it or correct spec.hostKeyRefs", name, s.listener.Namespace)
	case err != nil:
		return hostkey.Key{}, hostKeyMaterial{}, nil, fmt.Errorf("read SFTPKey %s: %w", name, err)
	case k.Spec.Usage != v1alpha1.KeyUsageHost:
		return no(v1alpha1.ReasonInvalidHostKey, "SFTPKey %q has usage %s; a host key needs usage Host", name, k.Spec.Usage)
	}
	secret, err := s.keySecret(ctx, key.SecretName(k))
	if err != nil {
		return hostkey.Key{}, hostKeyMaterial{}, nil, err
	}
	v := key.Decide(k, secret)
	if c := meta.FindStatusCondition(k.Status.Conditions, v1alpha1.ConditionReady); v.Generate && c != nil && c.Reason == v1alpha1.ReasonApplyFailed {
		return no(v1alpha1.ReasonHostKeyNotFound, "The key of SFTPKey %q cannot be stored. %s", name, c.Message)
	}
	if v.Generate || k.Status.PublicKey == "" && conditions.IsTrue([]metav1.Condition{v.Condition}, v1alpha1.ConditionReady) {
		// Of one that is made again it is not known yet which of its former revisions it takes up.
		return no(v1alpha1.ReasonPending, "The key of SFTPKey %q is being made", name)
	}
	if !conditions.IsTrue([]metav1.Condition{v.Condition}, v1alpha1.ConditionReady) {
		reason := v1alpha1.ReasonInvalidHostKey
		if v.Condition.Reason == v1alpha1.ReasonSecretNotFound {
			reason = v1alpha1.ReasonHostKeyNotFound
		}
		return no(reason, "%s", s.withKept(fmt.Sprintf("SFTPKey %q: %s", name, v.Condition.Message)))
	}
	if err := s.policy.CheckHostKey(v.Material.Public); err != nil {
		return no(v1alpha1.ReasonInvalidHostKey, "%s", s.withKept(fmt.Sprintf("SFTPKey %q: %v", name, err)))
	}
	wanted := hostkey.Key{Name: name, Fingerprint: v.Material.Fingerprint(), Type: v.Material.Public.Type(), Overlap: key.Overlap(k)}
	if k.Spec.Source != v1alpha1.KeyExisting {
		wanted.Revision = key.Revision(k)
	}
	m, err := s.withCertificate(v.Material)
	if err != nil {
		s.unresolved(v1alpha1.ReasonInvalidHostCertificate, fmt.Sprintf("SFTPKey %q works without its host certificate: %v", name, err))
	}
	return wanted, m, nil, nil
}

// keySecret reads the Secret of a key, nil if there is none. One that has not changed since the
// last time costs no API call: the cached metadata have its version.
func (s *scope) keySecret(ctx context.Context, name string) (*corev1.Secret, error) {
	id := s.hostKeyName(name)
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	known := s.memory.keySecrets[id]
	if err := s.Client.Get(ctx, id, m); err == nil && known != nil && known.UID == m.UID && known.ResourceVersion == m.ResourceVersion {
		return known, nil
	}
	delete(s.memory.keySecrets, id)
	secret := &corev1.Secret{}
	err := s.Live.Get(ctx, id, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	s.memory.keySecrets[id] = secret
	return secret, nil
}

// formerHostKey finds the private half of a key that the listener has already, and how long it
// is Retiring. It is in the Secret of a former revision, or, where something else has
// exchanged the content of the Secret, only in what the pods have.
func (s *scope) formerHostKey(ctx context.Context, held *v1alpha1.HostKeyStatus) (hostKeyMaterial, time.Duration, error) {
	copied := s.memory.copies[held.Fingerprint]
	if copied.certificate != nil {
		copied, _ = s.withCertificate(copied.Material) // the policy may have changed
	}
	k := &v1alpha1.SFTPKey{}
	err := s.Client.Get(ctx, s.hostKeyName(held.Name), k)
	if apierrors.IsNotFound(err) {
		return copied, key.DefaultOverlap, nil
	}
	if err != nil {
		return hostKeyMaterial{}, 0, fmt.Errorf("read SFTPKey %s: %w", held.Name, err)
	}
	for _, old := range k.Status.Retiring {
		if old.Fingerprint != held.Fingerprint {
			continue
		}
		secret, err := s.keySecret(ctx, old.SecretName)
		if err != nil {
			return hostKeyMaterial{}, 0, err
		}
		if secret == nil {
			continue
		}
		if m, err := key.Parse(secret.Data, v1alpha1.KeyUsageHost); err == nil && m.Fingerprint() == held.Fingerprint {
			former, _ := s.withCertificate(m) // one that cannot be used is not missed for long
			return former, key.Overlap(k), nil
		}
	}
	return copied, key.Overlap(k), nil
}

// withKept adds that the pods are not affected, and where the key still is.
func (s *scope) withKept(message string) string {
	if len(s.memory.hostKeys) == 0 {
		return message
	}
	return fmt.Sprintf("%s. The pods go on with the host keys that they have; copies of the private keys are in Secret %q",
		message, render.ConfigSecretName(s.listener))
}
