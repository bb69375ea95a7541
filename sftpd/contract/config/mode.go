package config

import (
	"fmt"
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// Values of User.Mode.
const (
	modeAnyOf = "AnyOf" // each credential logs in by itself
	modeAllOf = "AllOf" // a public key and then the password
)

// withMode is a user as it stands in a file. Daemons that know no combinations refuse records
// that have them, and their users could not log in until the pod is replaced: for most users
// the mode says the same.
func (u User) withMode() User {
	for _, mode := range []string{modeAnyOf, modeAllOf} {
		if slices.Equal(u.Methods, u.methodsOf(mode)) {
			u.Mode, u.Methods = mode, nil
			break
		}
	}
	return u
}

// withMethods is a user of a file with the combinations of its mode.
func (u User) withMethods() (User, error) {
	if u.Mode == "" {
		return u, nil
	}
	methods := u.methodsOf(u.Mode)
	if methods == nil || u.Methods != nil {
		return u, fmt.Errorf("mode %q is neither %s nor %s, or beside methods, or without a credential", u.Mode, modeAnyOf, modeAllOf)
	}
	u.Mode, u.Methods = "", methods
	return u, nil
}

func (u User) methodsOf(mode string) []string {
	switch mode {
	case modeAnyOf:
		var out []string
		if len(u.Keys) > 0 || u.Certificates {
			out = append(out, string(factor.PublicKey))
		}
		if u.Password != nil {
			out = append(out, string(factor.Password))
		}
		return out
	case modeAllOf:
		return []string{factor.Combination{factor.PublicKey, factor.Password}.String()}
	}
	return nil
}
