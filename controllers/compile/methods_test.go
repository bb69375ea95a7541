package compile

import (
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// A namespace that may use passwords only cannot have its users log in with keys of SFTPKeys, which a user does not name.
func TestKeysOfSFTPKeysUnderARule(t *testing.T) {
	u := user("acme")
	u.Spec.Authentication.PasswordSecretRef = &v1alpha1.PasswordSecretReference{Name: "password"}
	in := input(u)
	in.Resolve = func(*v1alpha1.SFTPUser) credentials.Credentials {
		return credentials.Credentials{Keys: []config.Key{{PublicKey: publicKey(1)}}, Password: &config.Password{Hash: "$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/"}}
	}
	memo := &Memo{}
	for _, c := range []struct {
		rule, want []string
	}{
		{nil, []string{"PublicKey", "Password"}},
		{[]string{"Password"}, []string{"Password"}},
		{[]string{"PublicKey", "Password"}, []string{"PublicKey", "Password"}},
	} {
		l := listener()
		l.Generation++
		r := v1alpha1.AllowedUsersRule{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}}
		for _, m := range c.rule {
			r.Methods = append(r.Methods, v1alpha1.AuthMethod(m))
		}
		l.Spec.AllowedUsers = v1alpha1.AllowedUsers{Usernames: v1alpha1.UsernamesAny, Rules: []v1alpha1.AllowedUsersRule{r}}
		in.Listener = l
		for _, m := range []*Memo{memo, nil} {
			out := Compile(in, m)
			if got := records(t, out)["acme"].Methods; !slices.Equal(got, c.want) {
				t.Errorf("rule %v: methods %v, want %v: %+v", c.rule, got, c.want, out.Users[0])
			}
		}
	}
}
