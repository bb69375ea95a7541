package listener

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/key"
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
			s.memory.hostKeys = append(s.memory.hostKeys, render.PrivateHostKey{Private: data})
		}
		s.recallHostKeys(cfg.Data[config.ListenerFile])
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

// recallHostKeys reads what was done with the host keys. Files of another version of the
// operator may not decode; then their keys are Active, as they were before there were states.
func (s *scope) recallHostKeys(settings []byte) {
	var l config.Listener
	if err := json.Unmarshal(settings, &l); err != nil || len(l.HostKeys) != len(s.memory.hostKeys) {
		l.HostKeys = make([]config.HostKey, len(s.memory.hostKeys))
	}
	s.memory.copies = map[string]hostKeyMaterial{}
	name := render.DefaultHostKeyName(s.listener)
	if refs := s.listener.Spec.HostKeyRefs; len(refs) > 0 {
		name = refs[0].Name // of which it was is not known; the copy is what matters
	}
	for i := range s.memory.hostKeys {
		m, err := key.Parse(map[string][]byte{key.PrivateEntry: s.memory.hostKeys[i].Private}, v1alpha1.KeyUsageHost)
		if err != nil {
			continue
		}
		state := v1alpha1.HostKeyActive
		if l.HostKeys[i].State != config.HostKeyActive {
			state = v1alpha1.HostKeyState(l.HostKeys[i].State)
		}
		s.memory.hostKeys[i].State = state
		m.Certificate = []byte(l.HostKeys[i].Certificate)
		copied, _ := s.withCertificate(m) // the key works without
		s.memory.copies[m.Fingerprint()] = copied
		s.memory.hostKeys[i].Certificate = copied.certificateLine()
		s.memory.heldHostKeys = append(s.memory.heldHostKeys, v1alpha1.HostKeyStatus{
			Name: name, Algorithm: m.Public.Type(), Fingerprint: m.Fingerprint(), State: state,
		})
	}
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
