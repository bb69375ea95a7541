// Package manifests generates random sets of the objects that make up a listener's configuration. Most of them are usable; the
// others have faults that the API's rules accept: Secrets and keys that do not exist, content that cannot be parsed, and users
// that request what they are not granted.
package manifests

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Now is a time with expirations before and after it.
var Now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// Namespaces of the objects, the listener's first.
func Namespaces(seed uint64) []string {
	return []string{fmt.Sprintf("m%d-files", seed), fmt.Sprintf("m%d-a", seed), fmt.Sprintf("m%d-b", seed)}
}

// Generate returns the objects of one listener: Namespaces, Secrets, SFTPKeys, the SFTPListener and SFTPUsers. Equal seeds give
// equal objects, and different seeds have no namespace in common.
func Generate(seed uint64) []client.Object {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 11)), namespaces: Namespaces(seed)} //nolint:gosec // not secret; the same each time
	for _, name := range g.namespaces {
		ns := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name}}
		if g.one(2) {
			ns.Labels = map[string]string{"sftp": "yes"}
		}
		g.out = append(g.out, ns)
	}
	for _, namespace := range g.namespaces {
		g.secrets(namespace)
		g.clientKeys(namespace)
	}
	g.listener()
	for i := range 5 + g.IntN(20) {
		g.user(i)
	}
	return g.out
}

type generator struct {
	*rand.Rand
	namespaces []string
	out        []client.Object
}

// one returns true once in n times on average.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) pick(values ...string) string { return values[g.IntN(len(values))] }

func meta(kind, namespace, name string) (metav1.TypeMeta, metav1.ObjectMeta) {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}, metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// keyOf returns the n-th of a sequence of pairs that is the same for all seeds.
func keyOf(n int) (private []byte, line string) {
	sum := sha256.Sum256(fmt.Append(nil, "manifests ", n))
	key := ed25519.NewKeyFromSeed(sum[:])
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // a newly created key
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

// line returns one of a few public keys, so that some users share one, or an unusable one.
func (g *generator) line() string {
	_, line := keyOf(g.IntN(30))
	switch g.IntN(12) {
	case 0:
		return `from="192.0.2.0/24" ` + line
	case 1:
		return line[:len(line)-6]
	case 2:
		return "ecdsa-sha2-nistp256 AAAA"
	}
	return line + g.pick("", "", " laptop", " a comment with blanks")
}

// hash is the SHA-512 crypt hash of a password with a public salt, created once for these tests.
const hash = "$6$rounds=5000$saltsaltsaltsalt$yFt3OZ1L77kfUmw7eEZm6YC6/8CKS3G45iRUWYUluvfSLcmsdcYJBTXxX3pcdOnUt4CaXJeJOoPxMOc8724/Q."

func (g *generator) secrets(namespace string) {
	add := func(name string, data map[string]string) {
		s := &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{},
		}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		g.out = append(g.out, s)
	}
	file := strings.Join([]string{"# keys", g.line(), "", g.line()}, "\n")
	add("keys", map[string]string{"authorized_keys": g.pick(file, file, "", "not a key", strings.Repeat(g.line()+"\n", 3))})
	add("password", map[string]string{
		"password": g.pick("correct horse battery", "correct horse battery", "short", "", "two\nlines", strings.Repeat("x", 5000)),
	})
	add("hash", map[string]string{"password": g.pick(hash, "plain", "$1$md5$hash")})
	add("totp", map[string]string{"totp": g.pick("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "0189", "")})
	add("empty", nil)
}

func (g *generator) clientKeys(namespace string) {
	for i := range g.IntN(5) {
		k := &v1alpha1.SFTPKey{}
		k.TypeMeta, k.ObjectMeta = meta("SFTPKey", namespace, fmt.Sprint("key-", i))
		k.Spec = v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey}
		_, k.Spec.PublicKey = keyOf(g.IntN(30))
		if g.one(2) {
			k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: fmt.Sprint("user-", g.IntN(12))}
		}
		if g.one(3) {
			k.Spec.From = []string{g.pick("192.0.2.0/24", "2001:db8::/32")}
		}
		if g.one(3) {
			k.Spec.ExpirationTime = new(metav1.NewTime(Now.Add(time.Hour)))
		}
		g.out = append(g.out, k)
	}
}

// allowedUsers returns rules that most users satisfy.
func (g *generator) allowedUsers() (out v1alpha1.AllowedUsers) {
	out.Usernames = v1alpha1.UsernamePolicy(g.pick("Any", "OthersPrefixed", "NamespacePrefixed"))
	rule := v1alpha1.AllowedUsersRule{Name: "tenants", Volumes: []v1alpha1.AllowedVolume{{Name: "home"}, {Name: "archive"}}}
	rule.Namespaces.From = v1alpha1.NamespacesFrom(g.pick("All", "All", "All", "All", "All", "Same", "Selector"))
	if rule.Namespaces.From == v1alpha1.NamespacesSelector {
		rule.Namespaces.Selector = &v1alpha1.NamespaceSelector{MatchLabels: map[string]string{"sftp": "yes"}}
	}
	if g.one(16) {
		rule.MaxUsers = new(int32(2 + g.IntN(8)))
	}
	if g.one(4) {
		rule.MaxConnections = new(int32(1 + g.IntN(8)))
	}
	if g.one(60) {
		rule.Access = v1alpha1.AccessReadOnly
	}
	if !g.one(3) {
		out.Rules = append(out.Rules, v1alpha1.AllowedUsersRule{Name: "own", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSame}})
		if rule.Namespaces.From == v1alpha1.NamespacesSame {
			return out
		}
	}
	out.Rules = append(out.Rules, rule)
	return out
}

// listener adds the listener and its host key.
func (g *generator) listener() {
	namespace := g.namespaces[0]
	l := &v1alpha1.SFTPListener{}
	l.TypeMeta, l.ObjectMeta = meta("SFTPListener", namespace, "partners")
	l.Spec = v1alpha1.SFTPListenerSpec{
		Volumes: []v1alpha1.ListenerVolume{
			{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}, {Name: "archive", EmptyDir: &v1alpha1.EmptyDirVolume{}},
		},
		HostKeyRefs: []v1alpha1.LocalKeyReference{{Name: "host"}},
	}
	s := &l.Spec
	s.AllowedUsers = g.allowedUsers()
	if g.one(3) {
		s.MaxUsers = new(int32(1 + g.IntN(8)))
		for i := range s.AllowedUsers.Rules {
			if r := &s.AllowedUsers.Rules[i]; r.MaxUsers != nil {
				r.MaxUsers = new(min(*r.MaxUsers, *s.MaxUsers))
			}
		}
	}
	a := &s.Authentication
	if g.one(8) {
		a.AllowedMethods = []v1alpha1.AuthMethod{v1alpha1.AuthMethod(g.pick("PublicKey", "Password"))}
	}
	if len(a.AllowedMethods) == 0 && g.one(8) {
		a.RequiredMethods = g.combinations()
	}
	if passwordsOnly := len(a.AllowedMethods) > 0 && a.AllowedMethods[0] == v1alpha1.AuthPassword; !passwordsOnly && g.one(3) {
		a.TrustedUserCAs = []string{strings.TrimPrefix(g.pick("ssh-ed25519 AAAAnone", g.line()), `from="192.0.2.0/24" `)}
	}
	if g.one(3) {
		_, line := keyOf(g.IntN(30))
		s.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: line}}
	}
	if g.one(6) {
		s.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: g.pick("empty", "missing"), Key: "list"}}
	}
	if g.one(5) {
		s.AllowedCIDRs = []string{"192.0.2.0/24"}
		s.CryptoPolicy, s.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, new(metav1.NewTime(Now.Add(time.Duration(g.IntN(48)-24)*time.Hour)))
	}
	host := &v1alpha1.SFTPKey{}
	host.TypeMeta, host.ObjectMeta = meta("SFTPKey", namespace, "host")
	host.Spec = v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageHost, Source: v1alpha1.KeyExisting}
	private, _ := keyOf(1000 + g.IntN(5))
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "host"},
		Data:       map[string][]byte{corev1.SSHAuthPrivateKey: private},
	}
	if g.one(8) {
		secret.Data["ssh-certificate"] = []byte("not a certificate")
	}
	g.out = append(g.out, l, secret)
	if !g.one(15) {
		g.out = append(g.out, host)
	}
}
