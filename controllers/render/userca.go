package render

import (
	"errors"
	"fmt"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// CheckUserCAs says what is wrong with the certificate authorities that a listener trusts,
// also under its crypto policy.
func CheckUserCAs(l *v1alpha1.SFTPListener, policy cryptopolicy.Policy) (problems []string) {
	for i, line := range l.Spec.Authentication.TrustedUserCAs {
		key, err := userCA(line)
		if err == nil {
			err = policy.CheckUserKey(key.PublicKey) // not its wrapper, which hides the size
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("spec.authentication.trustedUserCAs[%d]: %v", i, err))
		}
	}
	return problems
}

// userCAs are the certificate authorities for the pods, without those that are no public
// keys. One that the policy does not admit is the pods' to refuse: a policy may end.
func userCAs(l *v1alpha1.SFTPListener) (lines []string) {
	for _, line := range l.Spec.Authentication.TrustedUserCAs {
		if key, err := userCA(line); err == nil {
			lines = append(lines, key.Line())
		}
	}
	return lines
}

func userCA(line string) (publickey.Key, error) {
	key, err := publickey.ParseLine(line)
	if err == nil && len(key.From) > 0 {
		err = errors.New("from= has no meaning before the key of a CA; its certificates can have the option source-address")
	}
	return key, err
}
