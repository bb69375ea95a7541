package hostkeys

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Cache keeps what is known about a listener's host keys between reconciles. All of it can be read again from the cluster.
type Cache struct {
	// copies are the keys that pods have, by fingerprint.
	copies map[string]Material
	// held are the same keys in the form of a status, in case the status is lost.
	held []v1alpha1.HostKeyStatus
	// secrets are the Secrets as last read.
	secrets map[types.NamespacedName]*corev1.Secret
}

// Recalled are the host keys that an earlier operator gave to the pods.
type Recalled struct {
	Private []render.PrivateHostKey
	// Copies by fingerprint, and Held in the form of a status.
	Copies map[string]Material
	Held   []v1alpha1.HostKeyStatus
}

// Signature returns the signature of the keys, as Signature does for keys that were decided.
func (r Recalled) Signature() string {
	keys := make([]hostkey.Held, 0, len(r.Held))
	for i := range r.Held {
		keys = append(keys, hostkey.Held{Key: hostkey.Key{Fingerprint: r.Held[i].Fingerprint}, State: r.Held[i].State})
	}
	return Signature(keys)
}

// Fingerprints returns the fingerprints of the keys.
func (r Recalled) Fingerprints() []string {
	var out []string
	for i := range r.Held {
		out = append(out, r.Held[i].Fingerprint)
	}
	return out
}

// NewCache returns the cache of a listener, with what was recalled for it.
func NewCache(r Recalled) *Cache { return &Cache{copies: r.Copies, held: r.Held} }

// Recall reads the host keys from a configuration Secret. Settings from a different version of the operator may not decode;
// then the keys are Active, as they were before there were states.
func Recall(l *v1alpha1.SFTPListener, data map[string][]byte, policy render.Policy) Recalled {
	out := Recalled{Copies: map[string]Material{}}
	for i := 0; ; i++ {
		private, ok := data[config.HostKeyFile(i)]
		if !ok {
			break
		}
		out.Private = append(out.Private, render.PrivateHostKey{Private: private})
	}
	var settings config.Listener
	if err := json.Unmarshal(data[config.ListenerFile], &settings); err != nil || len(settings.HostKeys) != len(out.Private) {
		settings.HostKeys = make([]config.HostKey, len(out.Private))
	}
	name := render.DefaultHostKeyName(l)
	if refs := l.Spec.HostKeyRefs; len(refs) > 0 {
		name = refs[0].Name // the original name is unknown; only the key material matters
	}
	for i := range out.Private {
		m, err := key.Parse(map[string][]byte{key.PrivateEntry: out.Private[i].Private}, v1alpha1.KeyUsageHost)
		if err != nil {
			continue
		}
		state := v1alpha1.HostKeyActive
		if settings.HostKeys[i].State != config.HostKeyActive {
			state = v1alpha1.HostKeyState(settings.HostKeys[i].State)
		}
		m.Certificate = []byte(settings.HostKeys[i].Certificate)
		copied, _ := WithCertificate(m, policy) // the key works without it
		out.Private[i].State, out.Private[i].Certificate = state, copied.CertificateLine()
		out.Copies[m.Fingerprint()] = copied
		out.Held = append(out.Held, v1alpha1.HostKeyStatus{Name: name, Algorithm: m.Public.Type(), Fingerprint: m.Fingerprint(), State: state})
	}
	return out
}

// held returns the keys as last decided. A lost status, for example after a restore from a backup without it, is rebuilt
// from what the pods have.
func (s *resolution) held(ctx context.Context) ([]hostkey.Held, error) {
	list := s.Listener.Status.HostKeys
	if len(list) == 0 {
		list = s.cache.held
	}
	if earlier := s.earlier(); len(earlier) > 0 {
		list = earlier
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
		m, overlap, err := s.former(ctx, k)
		if err != nil {
			return nil, err
		}
		s.material[k.Fingerprint], h.Overlap = m, overlap
		out = append(out, h)
	}
	return out, nil
}

// earlier returns the keys of an earlier listener whose SFTPKeys the spec names. If one of them is missing, the spec asks for
// other keys, as for a new listener.
func (s *resolution) earlier() []v1alpha1.HostKeyStatus {
	names := s.names()
	return slices.DeleteFunc(slices.Clone(s.Earlier), func(k v1alpha1.HostKeyStatus) bool { return !slices.Contains(names, k.Name) })
}

// former finds the private key of a host key that the listener already has, and how long it is Retiring. It is in the
// Secret of a former revision or, if the Secret's content was replaced, only in what the pods have.
func (s *resolution) former(ctx context.Context, held *v1alpha1.HostKeyStatus) (Material, time.Duration, error) {
	copied := s.cache.copies[held.Fingerprint]
	if copied.Certificate != nil {
		copied, _ = WithCertificate(copied.Material, s.Policy) // the policy may have changed
	}
	k := &v1alpha1.SFTPKey{}
	err := s.Client.Get(ctx, s.inNamespace(held.Name), k)
	if apierrors.IsNotFound(err) {
		return copied, key.DefaultOverlap, nil
	}
	if err != nil {
		return Material{}, 0, fmt.Errorf("read SFTPKey %s: %w", held.Name, err)
	}
	for _, old := range k.Status.Retiring {
		if old.Fingerprint != held.Fingerprint {
			continue
		}
		secret, err := s.secret(ctx, old.SecretName)
		if err != nil {
			return Material{}, 0, err
		}
		if secret == nil {
			continue
		}
		if m, err := key.Parse(secret.Data, v1alpha1.KeyUsageHost); err == nil && m.Fingerprint() == held.Fingerprint {
			former, _ := WithCertificate(m, s.Policy) // an unusable key would not be kept for long
			return former, key.Overlap(k), nil
		}
	}
	if copied.Private == nil && held.Revision > 0 {
		// For a recreated listener, no status has its former revisions.
		secret, err := s.secret(ctx, key.SecretOf(k, held.Revision))
		if err != nil {
			return Material{}, 0, err
		}
		if secret != nil {
			if m, err := key.Parse(secret.Data, v1alpha1.KeyUsageHost); err == nil && m.Fingerprint() == held.Fingerprint {
				copied, _ = WithCertificate(m, s.Policy) // the key works without
			}
		}
	}
	return copied, key.Overlap(k), nil
}
