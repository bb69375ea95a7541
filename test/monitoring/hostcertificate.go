package monitoring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// CertifyHostKey gives the first host key of a listener a certificate, as an administrator does: there are metrics of certificates only
// if there is one.
func CertifyHostKey(t testing.TB, c client.Client, l *v1alpha1.SFTPListener) {
	t.Helper()
	ctx := context.Background()
	if err := c.Get(ctx, client.ObjectKeyFromObject(l), l); err != nil {
		t.Fatal(err)
	}
	name := client.ObjectKey{Namespace: l.Namespace, Name: l.Status.HostKeys[0].Name}
	var k v1alpha1.SFTPKey
	var secret corev1.Secret
	if err := c.Get(ctx, name, &k); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, name, &secret); err != nil {
		t.Fatal(err)
	}
	before := secret.DeepCopy()
	secret.Data["ssh-certificate"] = certificate(t, k.Status.PublicKey)
	if err := c.Patch(ctx, &secret, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// certificate returns a host certificate of a public key, by a CA of its own.
func certificate(t testing.TB, key string) []byte {
	t.Helper()
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	out := &ssh.Certificate{
		Key: public, CertType: ssh.HostCert, KeyId: "host", ValidPrincipals: []string{"sftp.example.com"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(90 * 24 * time.Hour).Unix()),
	}
	if err := out.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(out)
}
