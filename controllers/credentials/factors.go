package credentials

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/totp"
)

// defaultTOTPKey is the entry of a Secret that has an app's secret.
const defaultTOTPKey = "totp"

func (r *resolver) setTOTP(ctx context.Context, ref v1alpha1.TOTPSecretReference) error {
	entry := cmp.Or(ref.Key, defaultTOTPKey)
	s, err := r.secret(ctx, "spec.authentication.totpSecretRef", ref.Name, entry)
	if err != nil || s == nil {
		return err
	}
	k, err := totp.Parse(string(s.Data[entry]))
	if err != nil {
		r.problem(v1alpha1.ReasonInvalidTOTPSecret, "Secret %q, entry %q cannot be used for an authenticator app: %v. kubectl sftp totp makes one that can", ref.Name, entry, err)
		return nil
	}
	r.out.TOTP = &config.TOTP{Secret: k.Secret(), Digits: k.Digits(), Algorithm: k.Algorithm()}
	return nil
}

// For returns the credentials with those Methods that can succeed with them. What is
// missing for one that the user chose is among the Problems, and else if none can succeed.
func (c Credentials) For(methods factor.Set, explicit bool) Credentials {
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
	// Why a credential is not there stands in the other problems.
	if len(incomplete) > 0 && len(c.Problems) == 0 && (explicit || len(out.Methods) == 0) {
		out.Problems = append(out.Problems, Problem{
			Reason:  v1alpha1.ReasonFactorMissing,
			Message: fmt.Sprintf("The user cannot log in by all of its methods: %s", strings.Join(incomplete, "; ")),
		})
	}
	return out
}

// lacks says what a combination needs beside these credentials.
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
		out = append(out, "the secret of an authenticator app (spec.authentication.totpSecretRef; kubectl sftp totp makes it)")
	}
	return out
}

// CanLogIn says whether the credentials suffice for one of the methods that For was told.
func (c Credentials) CanLogIn() bool { return len(c.Methods) > 0 }
