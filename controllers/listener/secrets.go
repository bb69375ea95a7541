package listener

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// keySecret reads the Secret of a host key. One that has not changed since the last time costs
// no API call: the cached metadata have its version.
func (s *scope) keySecret(ctx context.Context, name types.NamespacedName) (*corev1.Secret, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	known := s.memory.keySecrets[name]
	if err := s.Client.Get(ctx, name, m); err == nil && known != nil && known.UID == m.UID && known.ResourceVersion == m.ResourceVersion {
		return known, nil
	}
	secret := &corev1.Secret{}
	if err := s.Live.Get(ctx, name, secret); err != nil {
		delete(s.memory.keySecrets, name)
		return nil, err
	}
	s.memory.keySecrets[name] = secret
	return secret, nil
}
