package credentials

import (
	"fmt"
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// Rules are what a listener asks of credentials.
type Rules struct {
	// Policy has the types and sizes of keys.
	Policy cryptopolicy.Policy
	// Revoked keys.
	Revoked config.Revoked
	// MinPasswordLength in characters, of passwords in clear.
	MinPasswordLength int
}

// Under returns the credentials without those that the listener's rules do not admit,
// which its Problems name. Keys the daemon would refuse at each login.
func (c Credentials) Under(rules Rules) Credentials {
	out := c
	out.Keys, out.Fingerprints, out.Problems = nil, nil, slices.Clone(c.Problems)
	for i, k := range c.Keys {
		if slices.Contains(rules.Revoked.Keys, c.Fingerprints[i]) {
			out.Problems = append(out.Problems, Problem{
				Reason:  v1alpha1.ReasonKeyRevoked,
				Message: fmt.Sprintf("The key %s is revoked: the listener's spec.revokedKeys names it. Remove it here, and log in with another", c.Fingerprints[i]),
			})
			continue
		}
		key, err := publickey.ParseLine(k.PublicKey)
		if err == nil {
			err = rules.Policy.CheckUserKey(key.PublicKey) // not its wrapper, which hides the size
		}
		if err != nil {
			out.Problems = append(out.Problems, Problem{
				Reason: v1alpha1.ReasonInvalidPublicKey, Message: fmt.Sprintf("The key %s cannot be used: %v", c.Fingerprints[i], err),
			})
			continue
		}
		out.Keys = append(out.Keys, k)
		out.Fingerprints = append(out.Fingerprints, c.Fingerprints[i])
	}
	if c.Password != nil && c.passwordLength > 0 && c.passwordLength < rules.MinPasswordLength {
		out.Password = nil
		out.Problems = append(out.Problems, Problem{
			Reason: v1alpha1.ReasonInvalidPassword,
			Message: fmt.Sprintf("The password in Secret %q has fewer than %d characters, which the listener asks for (its spec.authentication.passwordPolicy); put a longer one there",
				c.passwordSecret, rules.MinPasswordLength),
		})
	}
	return out
}
