package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/record"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// recalled is what an earlier operator delivered: credentials, which must not change without a reason, host keys, which must
// not be lost, and revoked keys, which must not become valid again.
type recalled struct {
	compile.Recalled
	hostKeys hostkeys.Recalled
	// receiptKey signs the receipts of the pods, nil if they issue none.
	receiptKey []byte
	// kept is the content of the listener's record.
	kept exchange.Record
	// trust and settings as they were delivered, nil if nothing was.
	trust    *render.Trust
	settings *config.Listener
	// users by UID, and the shards that they are in.
	users  map[string]config.User
	shards [][]byte
}

// recall reads the Secrets of a listener's configuration, and its record.
func (r *Reconciler) recall(ctx context.Context, l *v1alpha1.SFTPListener, policy render.Policy) (recalled, error) {
	out := recalled{users: map[string]config.User{}}
	rec, _, err := record.Read(ctx, r.Live, l.Namespace, l.Name)
	if err != nil && !errors.Is(err, record.ErrForeign) {
		return out, err
	}
	now := r.Now()
	rec = rec.TakenUp(l.UID, now)
	out.kept = exchange.Record{Home: rec.Home, Holders: rec.Holders(now), Places: rec.PlacesBefore(now)}
	settings, err := r.own(ctx, l, render.ConfigSecretName(l))
	if err != nil || settings == nil {
		return out, err // without settings, pods have loaded nothing
	}
	out.hostKeys = hostkeys.Recall(l, settings.Data, policy)
	out.receiptKey = settings.Data[config.ReceiptKeyFile]
	out.recallSettings(settings.Data[config.ListenerFile])
	shards := make([][]byte, shard.Count(attach.MaxUsers(l)))
	for i := range shards {
		secret, err := r.own(ctx, l, render.ShardSecretName(l, i))
		if err != nil {
			return out, err
		}
		if secret == nil {
			continue
		}
		shards[i] = secret.Data[render.ShardFile(i)]
		for line := range bytes.Lines(shards[i]) {
			// A line from a different version of the operator may not decode; then its user is resolved from scratch.
			if u, err := config.DecodeUser(line); err == nil {
				out.users[u.UID] = u
			}
		}
	}
	out.shards = shards
	out.Recalled = compile.Recall(shards, r.Users.Of(client.ObjectKeyFromObject(l)))
	return out, nil
}

// recallSettings reads the delivered settings: which CAs the pods trust, and which keys they refuse. Other fields may be
// from a different version of the operator; without an error, the settings can replace unusable ones.
func (r *recalled) recallSettings(data []byte) {
	var old struct {
		Revoked        config.Revoked `json:"revoked"`
		Authentication struct {
			TrustedUserCAs []string `json:"trustedUserCAs"`
		} `json:"authentication"`
	}
	if json.Unmarshal(data, &old) == nil {
		r.trust = &render.Trust{Revoked: old.Revoked, UserCAs: old.Authentication.TrustedUserCAs}
	}
	var settings config.Listener
	if json.Unmarshal(data, &settings) == nil && settings.Validate() == nil {
		r.settings = &settings
	}
}

// own reads a Secret of a listener, or nil if it has none.
func (r *Reconciler) own(ctx context.Context, l *v1alpha1.SFTPListener, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", l.Namespace, name, err)
	case secret.Labels[v1alpha1.LabelListener] != l.Name:
		return nil, nil
	}
	if owner := metav1.GetControllerOf(secret); owner != nil && owner.UID != l.UID {
		return nil, nil
	}
	return secret, nil
}
