package listener

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// trust is what was found of a listener's CAs and revoked keys, and of which versions of
// what they are from.
type trust struct {
	stamp string
	render.Trust
	problems []credentials.Problem
}

// resolveTrust finds out what the listener trusts and what it has revoked. Lists that have
// not changed since the last time cost no API call.
func (s *scope) resolveTrust(ctx context.Context, src clusterSource) error {
	stamp, err := s.trustStamp(ctx, src)
	if err != nil {
		return err
	}
	if s.memory.trust == nil || s.memory.trust.stamp != stamp {
		files, err := s.secretFiles(ctx, src)
		if err != nil {
			return err
		}
		t := &trust{stamp: stamp}
		t.Trust, t.problems = render.ResolveTrust(s.listener, s.policy.Policy,
			func(ref v1alpha1.SecretFileReference) render.SecretFile { return files[ref] }, s.memory.revoked)
		s.memory.trust = t
	}
	s.trust = s.memory.trust.Trust
	if !s.trust.Unknown {
		s.memory.revoked = &s.memory.trust.Revoked // not &s.trust.Revoked, which would keep the whole scope
	}
	if problems := s.memory.trust.problems; len(problems) > 0 {
		messages := make([]string, 0, len(problems))
		for _, p := range problems {
			messages = append(messages, p.Message)
		}
		s.unresolved(problems[0].Reason, strings.Join(messages, "; "))
	}
	return nil
}

// trustStamp identifies the versions of all that the listener's trust comes from.
func (s *scope) trustStamp(ctx context.Context, src clusterSource) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", s.listener.Generation, s.policy.Name)
	for _, name := range listedSecrets(s.listener) {
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := src.add(ctx, &b, m, s.listener.Namespace, name); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// secretFiles reads the files that the listener refers to.
func (s *scope) secretFiles(ctx context.Context, src clusterSource) (map[v1alpha1.SecretFileReference]render.SecretFile, error) {
	out := map[v1alpha1.SecretFileReference]render.SecretFile{}
	for _, ref := range secretFileRefs(s.listener) {
		secret, err := src.Secret(ctx, s.listener.Namespace, ref.Name)
		switch {
		case errors.Is(err, credentials.ErrNotFound):
			out[ref] = render.SecretFile{NoSecret: true}
		case err != nil:
			return nil, fmt.Errorf("read Secret %s: %w", ref.Name, err)
		default:
			data, ok := secret.Data[ref.Key]
			out[ref] = render.SecretFile{NoEntry: !ok, Data: data}
		}
	}
	return out, nil
}

func secretFileRefs(l *v1alpha1.SFTPListener) []v1alpha1.SecretFileReference {
	a, b := l.Spec.RevokedKeysSecretRefs, l.Spec.Authentication.TrustedUserCAsSecretRefs
	return append(append(make([]v1alpha1.SecretFileReference, 0, len(a)+len(b)), a...), b...)
}

// listedSecrets are the names of the Secrets with the listener's CAs and revoked keys.
func listedSecrets(l *v1alpha1.SFTPListener) []string {
	var out []string
	for _, ref := range secretFileRefs(l) {
		out = append(out, ref.Name)
	}
	return out
}

// recallRevoked reads what the pods were told to refuse. Other fields do not matter: they
// may be of another version of the operator.
func (s *scope) recallRevoked(settings []byte) {
	var old struct {
		Revoked config.Revoked `json:"revoked"`
	}
	if json.Unmarshal(settings, &old) == nil {
		s.memory.revoked = &old.Revoked
	}
}
