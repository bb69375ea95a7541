package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// makers is how many clients make objects at a time.
const makers = 16

// publicKey returns a key that depends on a seed.
func publicKey(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, sum[:]}))
	if err != nil {
		panic(err) // any 32 bytes are a valid key
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// newListener returns an endpoint in a namespace of its own.
func newListener(namespace string, maxUsers int) *v1alpha1.SFTPListener {
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "partners"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}}},
	}
	if maxUsers > 0 {
		l.Spec.MaxUsers = new(int32(maxUsers))
	}
	return l
}

// newUser returns a login with two keys. Their comments distinguish a rotated key from the previous one.
func newUser(namespace string, n int) *v1alpha1.SFTPUser {
	name := fmt.Sprintf("partner-%05d", n)
	return &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef:    v1alpha1.ListenerReference{Name: "partners"},
			Authentication: v1alpha1.UserAuthentication{AuthorizedKeys: keysOf(namespace+"/"+name, 0)},
		},
	}
}

// keysOf returns a user's keys: the second one differs with each revision.
func keysOf(user string, revision int) []string {
	return []string{publicKey(user) + " laptop@example.com", publicKey(fmt.Sprint(user, revision)) + " batch@example.com"}
}

// make creates listeners with their users, many at a time.
func (c *cluster) make(ctx context.Context, listeners []*v1alpha1.SFTPListener, users int) error {
	var g errgroup.Group
	g.SetLimit(makers)
	for _, l := range listeners {
		g.Go(func() error {
			if err := c.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.Namespace}}); err != nil {
				return err
			}
			return c.api.Create(ctx, l)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for n := range users {
		for _, l := range listeners {
			g.Go(func() error { return c.api.Create(ctx, newUser(l.Namespace, n)) })
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// rotate gives a user a new key, and returns the updated user.
func (c *cluster) rotate(ctx context.Context, namespace string, n, revision int) (*v1alpha1.SFTPUser, error) {
	u := newUser(namespace, n)
	before := client.MergeFrom(u.DeepCopy())
	u.Spec.Authentication.AuthorizedKeys = keysOf(namespace+"/"+u.Name, revision)
	return u, c.api.Patch(ctx, u, before)
}
