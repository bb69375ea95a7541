package credentials

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/password"
)

// hashing bounds how many hashes are computed at a time: each takes 19 MiB and some
// 20 ms of a core.
var hashing = make(chan struct{}, 2)

// PasswordSource identifies a Secret's version as it is kept in a record. It is empty for
// a Secret without a version, from a file: then nothing says that it is still the same.
func PasswordSource(s *corev1.Secret, key string) string {
	if s.ResourceVersion == "" {
		return ""
	}
	return fmt.Sprintf("%s/%s/%s", s.UID, s.ResourceVersion, key)
}

func (r *resolver) setPassword(ctx context.Context, ref v1alpha1.PasswordSecretReference, previous *config.Password) error {
	const field = "spec.authentication.passwordSecretRef"
	key := ref.Key
	if key == "" {
		key = "password"
	}
	s, err := r.secret(ctx, field, ref.Name, key)
	if err != nil || s == nil {
		return err
	}
	data := s.Data[key]
	if ref.Format == v1alpha1.PasswordHash {
		r.takeHash(s, ref.Name, key, string(data))
		return nil
	}
	switch _, err := password.Parse(string(data)); {
	case len(data) == 0:
		r.problem(v1alpha1.ReasonInvalidPassword, "Secret %q, entry %q is empty; put the password there", ref.Name, key)
		return nil
	case err == nil:
		r.problem(v1alpha1.ReasonInvalidPassword, "Secret %q, entry %q holds the hash of a password; set spec.authentication.passwordSecretRef.format to Hash, or put the password there", ref.Name, key)
		return nil
	case len(data) > password.MaxLength:
		r.problem(v1alpha1.ReasonInvalidPassword, "Secret %q, entry %q has %d bytes, a password may have at most %d", ref.Name, key, len(data), password.MaxLength)
		return nil
	case strings.ContainsAny(string(data), "\r\n"):
		// Mostly an "echo" without -n: nobody can type the line end at a prompt.
		r.problem(v1alpha1.ReasonInvalidPassword, "Secret %q, entry %q contains a line end; write the password without it (kubectl create secret ... --from-literal, or printf %%s)", ref.Name, key)
		return nil
	}
	r.out.passwordLength, r.out.passwordSecret = utf8.RuneCount(data), ref.Name
	r.out.Password, err = hashOnce(data, PasswordSource(s, key), previous)
	return err
}

// takeHash passes on a hash that somebody else made. It may have the line end of a file.
func (r *resolver) takeHash(s *corev1.Secret, name, key, text string) {
	text = strings.TrimSpace(text)
	if _, err := password.Parse(text); err != nil {
		r.problem(v1alpha1.ReasonInvalidPassword, "Secret %q, entry %q cannot be used as the hash of a password: %v", name, key, err)
		return
	}
	// Another source than that of the same entry as a password in clear.
	r.out.Password = &config.Password{Hash: text, Source: PasswordSource(s, key) + "#hash"}
}

// hashOnce hashes a password unless the previous hash is of the same one.
func hashOnce(data []byte, source string, previous *config.Password) (*config.Password, error) {
	if previous != nil && source != "" && previous.Source == source {
		return previous, nil
	}
	hashing <- struct{}{}
	defer func() { <-hashing }()
	if previous != nil {
		if h, err := password.Parse(previous.Hash); err == nil && password.IsNew(h) && h.Verify(data) {
			return &config.Password{Hash: previous.Hash, Source: source}, nil
		}
	}
	hash, err := password.New(data)
	if err != nil {
		return nil, err
	}
	return &config.Password{Hash: hash, Source: source}, nil
}
