package credentials

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// WithMethods returns the credentials with those Methods that can succeed with them.
// Anything missing becomes a Problem for a method that the user chose, otherwise only if
// none can succeed.
func (c Credentials) WithMethods(methods factor.Set, explicit bool) Credentials {
	out := c
	out.Methods, out.Problems = nil, slices.Clone(c.Problems)
	var incomplete []string
	for _, m := range methods {
		if lacks := c.lacks(m); len(lacks) > 0 {
			incomplete = append(incomplete, fmt.Sprintf("%s needs %s", m, strings.Join(lacks, " and ")))
			continue
		}
		out.Methods = append(out.Methods, m)
	}
	// The other problems say why a credential is missing, or that is not known yet.
	explained := len(c.Problems)+len(c.Pending)+len(c.Failures) > 0
	if len(incomplete) > 0 && !explained && (explicit || len(out.Methods) == 0) {
		out.Problems = append(out.Problems, Problem{
			Reason:  v1alpha1.ReasonFactorMissing,
			Message: fmt.Sprintf("Some of the user's methods cannot succeed: %s", strings.Join(incomplete, "; ")),
		})
	}
	return out
}

// lacks lists what a combination needs that the credentials do not have.
func (c Credentials) lacks(m factor.Combination) (out []string) {
	switch n := m.Count(factor.PublicKey); {
	case n <= len(c.Keys) || n > 0 && c.Certificates:
	case n == 1:
		out = append(out, "a key (spec.authentication.authorizedKeys, or an SFTPKey)")
	default:
		out = append(out, fmt.Sprintf("%d different keys, and the user has %d", n, len(c.Keys)))
	}
	if m.Count(factor.Password) > 0 && c.Password == nil {
		out = append(out, "a password (spec.authentication.passwordSecretRef)")
	}
	if m.Count(factor.TOTP) > 0 && c.TOTP == nil {
		out = append(out, "the secret of an authenticator app (spec.authentication.totpSecretRef; kubectl sftp totp creates it)")
	}
	return out
}

// CanLogIn reports whether the credentials suffice for one of the methods given to WithMethods.
func (c Credentials) CanLogIn() bool { return len(c.Methods) > 0 }
