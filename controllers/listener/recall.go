package listener

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// recall reads what was rendered before this operator started: password hashes, which
// must not change without a reason, host keys, which must not be lost, and revoked keys, which
// must not become valid again.
func (s *scope) recall(ctx context.Context) error {
	if s.memory.recalled {
		return nil
	}
	cfg, err := s.ownSecret(ctx, render.ConfigSecretName(s.listener))
	if err != nil {
		return err
	}
	if cfg != nil {
		s.recallRevoked(cfg.Data[config.ListenerFile])
		for i := 0; ; i++ {
			data, ok := cfg.Data[config.HostKeyFile(i)]
			if !ok {
				break
			}
			s.memory.hostKeys = append(s.memory.hostKeys, data)
		}
	}
	for i := range shard.Count(attach.MaxUsers(s.listener)) {
		secret, err := s.ownSecret(ctx, render.ShardSecretName(s.listener, i))
		if err != nil {
			return err
		}
		if secret != nil {
			s.recallPasswords(secret.Data[render.ShardFile(i)])
		}
	}
	s.memory.recalled = true
	return nil
}

func (s *scope) recallPasswords(shard []byte) {
	for line := range bytes.Lines(shard) {
		// A line of another version of the operator may not decode; its user then gets a
		// new hash.
		if u, err := config.DecodeUser(line); err == nil && u.Password != nil {
			s.memory.passwords[types.UID(u.UID)] = u.Password
		}
	}
}

// ownSecret reads a Secret of this listener, or nil if there is none that is its own.
func (s *scope) ownSecret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Live.Get(ctx, types.NamespacedName{Namespace: s.listener.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", s.listener.Namespace, name, err)
	case secret.Labels[v1alpha1.LabelListener] != s.listener.Name:
		return nil, nil
	}
	return secret, nil
}
