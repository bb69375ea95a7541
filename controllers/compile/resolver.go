package compile

import (
	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

// Resolver resolves users' credentials from what is known. Its methods are for Input.
type Resolver struct {
	// Keyring returns the SFTPKeys of a namespace.
	Keyring func(namespace string) *key.Keyring
	// Entry returns what is known about an entry of a Secret.
	Entry func(credentials.Ref) credentials.Entry
}

// Resolve returns the credentials of a user.
func (r Resolver) Resolve(u *v1alpha1.SFTPUser) credentials.Credentials {
	return credentials.Resolve(u, r.Keyring(u.Namespace), r.Entry)
}
