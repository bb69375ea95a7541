package access

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
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// recalled is what an earlier operator delivered: credentials, which must not change without a reason, host keys, which must
// not be lost, and revoked keys, which must not become valid again.
type recalled struct {
	hostKeys hostkeys.Recalled
	revoked  *config.Revoked
	// users by UID, and where their records are.
	users map[types.UID]config.User
	slots map[string]shard.Slot
}

// recall reads the Secrets of a listener's configuration.
func (r *Reconciler) recall(ctx context.Context, l *v1alpha1.SFTPListener, policy render.Policy) (recalled, error) {
	out := recalled{users: map[types.UID]config.User{}, slots: map[string]shard.Slot{}}
	settings, err := r.own(ctx, l, render.ConfigSecretName(l))
	if err != nil || settings == nil {
		return out, err // without settings pods have loaded nothing
	}
	out.hostKeys = hostkeys.Recall(l, settings.Data, policy)
	out.revoked = recallRevoked(settings.Data[config.ListenerFile])
	for i := range shard.Count(attach.MaxUsers(l)) {
		secret, err := r.own(ctx, l, render.ShardSecretName(l, i))
		if err != nil {
			return out, err
		}
		if secret == nil {
			continue
		}
		for line := range bytes.Lines(secret.Data[render.ShardFile(i)]) {
			// A line of another version of the operator may not decode; its user is resolved from scratch.
			if u, err := config.DecodeUser(line); err == nil {
				out.users[types.UID(u.UID)] = u
				out.slots[u.UID] = shard.Slot{Shard: i, Bytes: len(line)}
			}
		}
	}
	return out, nil
}

// recallRevoked reads what the pods were told to refuse. Other fields do not matter: they may be of another version of the
// operator.
func recallRevoked(settings []byte) *config.Revoked {
	var old struct {
		Revoked config.Revoked `json:"revoked"`
	}
	if json.Unmarshal(settings, &old) != nil {
		return nil
	}
	return &old.Revoked
}

// own reads a Secret of a listener, or nil if there is none that is its own.
func (r *Reconciler) own(ctx context.Context, l *v1alpha1.SFTPListener, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", l.Namespace, name, err)
	case !r.Owned(l, secret):
		return nil, nil
	}
	return secret, nil
}
