package compile

import (
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// maxRefusedBytes limits the size of the refused users in the settings' Secret, which also has the revoked keys. Tenants
// determine how many there are.
const maxRefusedBytes = 200_000

// refusedUsers returns the users who are suspended or expired, for the pods' logs. Beyond the limits, the last ones in the
// order of namespace and name are left out; to the pods, those are unknown names.
func (c *compilation) refusedUsers() []config.RefusedUser {
	var out []config.RefusedUser
	size := 0
	for i := range c.out.Users {
		d := &c.out.Users[i].Decision
		u := config.RefusedUser{Username: d.Username, UID: string(d.User.UID), Reason: config.RefusedSuspended}
		switch d.Reason {
		case v1alpha1.ReasonSuspended:
		case v1alpha1.ReasonExpired:
			u.Reason = config.RefusedExpired
		default:
			continue
		}
		u.Keys = inlineKeys(d.User)
		const rest = 100 // names of fields and punctuation
		if size += len(u.Username) + len(u.UID) + len(u.Keys)*60 + rest; size > maxRefusedBytes || len(out) == config.MaxRefusedUsers {
			return out
		}
		out = append(out, u)
	}
	return out
}

// inlineKeys returns the fingerprints of the first keys in a user's spec. Keys of Secrets and SFTPKeys are not looked up for a user
// that cannot log in.
func inlineKeys(u *v1alpha1.SFTPUser) []string {
	keys := u.Spec.Authentication.AuthorizedKeys
	var out []string
	for _, line := range keys[:min(len(keys), config.MaxRefusedKeys)] {
		if k, err := publickey.ParseLine(line); err == nil {
			out = append(out, ssh.FingerprintSHA256(k.PublicKey))
		}
	}
	return out
}
