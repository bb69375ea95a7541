package listener

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
)

// gatherUsers lists the users that name the listener and decides who is accepted.
func (s *scope) gatherUsers(ctx context.Context) error {
	var users v1alpha1.SFTPUserList
	// They are not copied, and so must not be changed: thousands are looked at with each change.
	if err := s.Client.List(ctx, &users, client.MatchingFields{user.ListenerIndex: s.name().String()}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	in := attach.Input{Listener: s.listener, Users: make([]*v1alpha1.SFTPUser, len(users.Items)), Now: s.Now()}
	for i := range users.Items {
		in.Users[i] = &users.Items[i]
	}
	if s.listener.Spec.AllowedUsers.Namespaces.From == v1alpha1.NamespacesSelector {
		var err error
		if in.NamespaceLabels, err = s.namespaceLabels(ctx, users.Items); err != nil {
			return err
		}
	}
	decided := attach.Decide(in, nil)
	s.decisions, s.nextExpiry = decided.Decisions, decided.Next
	return nil
}

func (s *scope) namespaceLabels(ctx context.Context, users []v1alpha1.SFTPUser) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for i := range users {
		name := users[i].Namespace
		if _, ok := out[name]; ok {
			continue
		}
		ns := &metav1.PartialObjectMetadata{}
		ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		if err := client.IgnoreNotFound(s.Client.Get(ctx, types.NamespacedName{Name: name}, ns)); err != nil {
			return nil, fmt.Errorf("read Namespace %s: %w", name, err)
		}
		out[name] = ns.Labels
	}
	return out, nil
}

// resolveCredentials resolves what accepted users refer to. Users whose objects have not
// changed since the last time cost no API call.
func (s *scope) resolveCredentials(ctx context.Context) error {
	s.credentials = map[types.UID]credentials.Credentials{}
	resolved := map[types.UID]resolution{}
	src := clusterSource{client: s.Client, live: s.Live, parser: &s.rings, rings: map[string]*key.Ring{}}
	if err := s.resolveTrust(ctx, src); err != nil {
		return err
	}
	rules := credentials.NewRules(s.policy.Policy, s.trust.Revoked, render.MinPasswordLength(s.listener))
	rules.NoUserCA = len(s.trust.UserCAs) == 0
	required := s.listener.Spec.Authentication.RequiredMethods
	sameRules := reflect.DeepEqual(rules, s.memory.rules) && slices.Equal(required, s.memory.required)
	s.memory.rules, s.memory.required = rules, required
	for _, d := range s.decisions {
		if !d.Accepted() {
			continue
		}
		uid := d.User.UID
		stamp, err := src.stamp(ctx, d.User)
		if err != nil {
			return err
		}
		old, ok := s.memory.resolved[uid]
		stale := !ok || old.stamp != stamp
		if stale {
			c, err := credentials.ResolveFrom(ctx, src, d.User, s.memory.passwords[uid])
			if err != nil {
				return fmt.Errorf("user %s/%s: %w", d.User.Namespace, d.User.Name, err)
			}
			old = resolution{stamp: stamp, Credentials: c, former: old.Inventory}
		}
		if stale || !sameRules {
			old.admitted = compile.Suited(s.listener, d.User, old.Credentials, rules)
		}
		resolved[uid] = old
		s.credentials[uid] = old.admitted
		if old.Password != nil {
			s.memory.passwords[uid] = old.Password
		}
	}
	s.memory.resolved = resolved
	return nil
}

// clusterSource reads what users refer to from the cluster.
type clusterSource struct {
	client client.Client
	live   client.Reader
	parser *key.Rings
	// rings of this reconcile, by namespace.
	rings map[string]*key.Ring
}

// Secret implements credentials.Source.
func (c clusterSource) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := c.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, credentials.ErrNotFound
	}
	return secret, err
}

// Ring implements credentials.Source. One reconcile sees one ring of a namespace.
func (c clusterSource) Ring(ctx context.Context, namespace string) (*key.Ring, error) {
	if r, ok := c.rings[namespace]; ok {
		return r, nil
	}
	var keys v1alpha1.SFTPKeyList
	if err := c.client.List(ctx, &keys, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	r := c.parser.Ring(namespace, keys.Items)
	c.rings[namespace] = r
	return r, nil
}

// stamp identifies the versions of a user and of all that it refers to, from the caches.
func (c clusterSource) stamp(ctx context.Context, u *v1alpha1.SFTPUser) (string, error) {
	var b strings.Builder
	ring, err := c.Ring(ctx, u.Namespace)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%d %s", u.Generation, ring.Stamp())
	for _, name := range referencedSecrets(u) {
		m := &metav1.PartialObjectMetadata{}
		m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := c.add(ctx, &b, m, u.Namespace, name); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (c clusterSource) add(ctx context.Context, b *strings.Builder, o client.Object, namespace, name string) error {
	err := c.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	fmt.Fprintf(b, " %s=%s/%s", name, o.GetUID(), o.GetResourceVersion())
	return nil
}

// referencedSecrets are the names of the Secrets that a user refers to.
func referencedSecrets(u *v1alpha1.SFTPUser) []string {
	var out []string
	for _, ref := range u.Spec.Authentication.AuthorizedKeysSecretRefs {
		out = append(out, ref.Name)
	}
	if ref := u.Spec.Authentication.PasswordSecretRef; ref != nil {
		out = append(out, ref.Name)
	}
	if ref := u.Spec.Authentication.TOTPSecretRef; ref != nil {
		out = append(out, ref.Name)
	}
	return out
}
