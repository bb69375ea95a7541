package credentials

import (
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Rules are what a listener requires of credentials.
type Rules struct {
	// Policy has the allowed types and sizes of keys.
	Policy cryptopolicy.Policy
	// MinPasswordLength in characters, of clear-text passwords.
	MinPasswordLength int
	// NoUserCA is set if no CA of the listener can be used, so certificate logins are impossible.
	NoUserCA bool
	// revoked has fingerprints: thousands of keys are compared with thousands of them.
	revoked map[string]bool
}

// NewRules returns the rules of a listener.
func NewRules(policy cryptopolicy.Policy, revoked config.Revoked, minPasswordLength int) Rules {
	r := Rules{Policy: policy, MinPasswordLength: minPasswordLength, revoked: make(map[string]bool, len(revoked.Keys))}
	for _, fingerprint := range revoked.Keys {
		r.revoked[fingerprint] = true
	}
	return r
}

// FilterByRules returns the credentials without those that the listener's rules do not allow,
// which its Problems name. The daemon would reject such keys anyway.
func (c Credentials) FilterByRules(rules Rules) Credentials {
	out := c
	out.Keys, out.Inventory, out.Problems = nil, slices.Clone(c.Inventory), slices.Clone(c.Problems)
	for _, k := range c.Keys {
		key, err := publickey.ParseLine(k.PublicKey)
		if err != nil {
			continue // it was made from a key
		}
		var state v1alpha1.KeyState
		fp := ssh.FingerprintSHA256(key.PublicKey)
		err = rules.Policy.CheckUserKey(key.PublicKey) // not its wrapper, which hides the size
		switch {
		case rules.revoked[fp]:
			state = v1alpha1.KeyRevoked
			out.Problems = append(out.Problems, Problem{
				Reason:  v1alpha1.ReasonKeyRevoked,
				Message: fmt.Sprintf("The key %s is revoked: the listener's spec.revokedKeys, or a list that it names, contains it. Remove it here, and log in with a different one", fp),
			})
		case err != nil:
			state = v1alpha1.KeyWeak
			out.Problems = append(out.Problems, Problem{
				Reason: v1alpha1.ReasonInvalidPublicKey, Message: fmt.Sprintf("The key %s cannot be used: %v", fp, err),
			})
		default:
			out.Keys = append(out.Keys, k)
			continue
		}
		if i := slices.IndexFunc(out.Inventory, func(e v1alpha1.UserKeyStatus) bool { return e.Fingerprint == fp }); i >= 0 {
			out.Inventory[i].State = state
		}
	}
	if c.Certificates && rules.NoUserCA {
		out.Certificates = false
		out.Problems = append(out.Problems, Problem{
			Reason:  v1alpha1.ReasonInvalidUserCA,
			Message: "No certificate authority of the listener can be used, so certificates cannot log in; the listener's condition ResolvedRefs says why",
		})
	}
	if c.Password != nil && c.passwordLength > 0 && c.passwordLength < rules.MinPasswordLength {
		out.Password = nil
		out.Problems = append(out.Problems, Problem{
			Reason: v1alpha1.ReasonInvalidPassword,
			Message: fmt.Sprintf("The password in Secret %q has fewer than %d characters, which the listener requires (its spec.authentication.passwordPolicy); put a longer one there",
				c.passwordSecret, rules.MinPasswordLength),
		})
	}
	if len(out.Keys) == len(c.Keys) && len(out.Problems) == len(c.Problems) {
		return c // all are allowed: one copy is enough
	}
	return out
}
