package credentials

import (
	"fmt"
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// Under returns the credentials without the keys that the listener has revoked and those
// that its crypto policy does not admit, which its Problems name. The daemon would refuse
// them at each login.
func (c Credentials) Under(policy cryptopolicy.Policy, revoked config.Revoked) Credentials {
	out := c
	out.Keys, out.Fingerprints, out.Problems = nil, nil, slices.Clone(c.Problems)
	for i, k := range c.Keys {
		if slices.Contains(revoked.Keys, c.Fingerprints[i]) {
			out.Problems = append(out.Problems, Problem{
				Reason:  v1alpha1.ReasonKeyRevoked,
				Message: fmt.Sprintf("The key %s is revoked: the listener's spec.revokedKeys names it. Remove it here, and log in with another", c.Fingerprints[i]),
			})
			continue
		}
		key, err := publickey.ParseLine(k.PublicKey)
		if err == nil {
			err = policy.CheckUserKey(key.PublicKey) // not its wrapper, which hides the size
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
	return out
}
