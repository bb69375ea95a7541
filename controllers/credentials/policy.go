package credentials

import (
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// Under returns the credentials without the keys that a crypto policy does not admit,
// which its Problems name. The daemon would refuse them at each login.
func (c Credentials) Under(policy cryptopolicy.Policy) Credentials {
	out := c
	out.Keys, out.Inventory, out.Problems = nil, slices.Clone(c.Inventory), slices.Clone(c.Problems)
	for _, k := range c.Keys {
		key, err := publickey.ParseLine(k.PublicKey)
		if err != nil {
			continue // it was made from a key
		}
		if err = policy.CheckUserKey(key.PublicKey); err == nil { // not its wrapper, which hides the size
			out.Keys = append(out.Keys, k)
			continue
		}
		fp := ssh.FingerprintSHA256(key.PublicKey)
		out.Problems = append(out.Problems, Problem{
			Reason: v1alpha1.ReasonInvalidPublicKey, Message: fmt.Sprintf("The key %s cannot be used: %v", fp, err),
		})
		if i := slices.IndexFunc(out.Inventory, func(e v1alpha1.UserKeyStatus) bool { return e.Fingerprint == fp }); i >= 0 {
			out.Inventory[i].State = v1alpha1.KeyWeak
		}
	}
	return out
}
