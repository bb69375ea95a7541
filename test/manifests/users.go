package manifests

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func (g *generator) user(i int) {
	u := &v1alpha1.SFTPUser{}
	u.TypeMeta, u.ObjectMeta = meta("SFTPUser", g.namespaces[g.IntN(len(g.namespaces))], fmt.Sprint("user-", i))
	u.Spec = v1alpha1.SFTPUserSpec{
		ListenerRef: v1alpha1.ListenerReference{Name: "partners", Namespace: g.namespaces[0]},
		Username:    g.pick("", "", "", "", "", "", "", "", "", "acme", "x.y@example.com", strings.Repeat("n", 60)),
		State:       v1alpha1.UserState(g.pick("Active", "Active", "Active", "Active", "Suspended")),
	}
	if g.one(4) {
		u.Spec.ExpirationTime = new(metav1.NewTime(Now.Add(time.Duration(g.IntN(48)-24) * time.Hour)))
	}
	if g.one(4) {
		u.Spec.AllowedCIDRs = []string{"192.0.2.0/24", g.pick("2001:db8::/32", "198.51.100.7/32")}
	}
	g.authentication(&u.Spec.Authentication)
	u.Spec.HomeDirectory = g.directory()
	for m := range g.IntN(3) {
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{
			Path: fmt.Sprintf("/%s-%d", g.pick("in", "out", "Über uns", strings.Repeat("p", 100)), m), Directory: g.directory(),
		})
	}
	g.out = append(g.out, u)
}

func (g *generator) authentication(a *v1alpha1.UserAuthentication) {
	keys := 1 + g.IntN(2)
	if g.one(4) {
		keys = 0
	}
	for range keys {
		if line := g.line(); !slices.Contains(a.AuthorizedKeys, line) {
			a.AuthorizedKeys = append(a.AuthorizedKeys, line)
		}
	}
	if g.one(3) {
		a.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: g.pick("keys", "keys", "empty", "missing")}}
	}
	if g.one(3) {
		a.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: g.pick("password", "password", "hash", "missing", "empty")}
		if g.one(3) {
			a.PasswordSecretRef.Name, a.PasswordSecretRef.Format = g.pick("hash", "password"), v1alpha1.PasswordHash
		}
	}
	if g.one(6) {
		a.Methods = g.combinations()
	}
	if g.one(6) {
		a.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: g.pick("totp", "missing")}
	}
	if g.one(12) {
		a.Certificates = v1alpha1.CertificatesAccepted
	}
}

// combinations returns one that requires a key, or a key and then the password.
func (g *generator) combinations() []v1alpha1.MethodCombination {
	steps := []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}
	return []v1alpha1.MethodCombination{{Steps: steps[:1+g.IntN(2)]}}
}

// directory usually returns the default one, because a single invalid directory is enough for the user to be refused.
func (g *generator) directory() v1alpha1.Directory {
	if !g.one(4) {
		return v1alpha1.Directory{}
	}
	return v1alpha1.Directory{
		Volume:  g.pick("", "", "", "home", "archive", "nowhere"),
		Scope:   v1alpha1.DirectoryScope(g.pick("", "", "", "User", "Namespace", "Volume")),
		SubPath: g.pick("", "", "in", "a/b/c"),
		Access:  v1alpha1.Access(g.pick("", "", "ReadWrite", "ReadOnly", "WriteOnly", "CreateOnly")),
	}
}
