package credentials

import (
	"strings"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

func (e *Entry) readKeys(ref Ref, data []byte) {
	keys, further, err := publickey.ParseFirst(data, maxParsed)
	switch {
	case err != nil:
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPublicKey, "cannot be used: %v", err)
		return
	case len(keys) == 0:
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPublicKey, "holds no public key; add a line such as the one in a .pub file")
		return
	}
	seen := map[string]bool{}
	for _, k := range keys {
		switch fp := k.Fingerprint(); {
		case seen[fp]:
		case len(e.Keys) == config.MaxKeysPerUser:
			seen[fp] = true
			further++
		default:
			seen[fp] = true
			e.Keys = append(e.Keys, k)
		}
	}
	e.Further = further
}

// maxParsed bounds how many lines of a file are parsed: a Secret of 1 MiB has room for 13,000, and
// a record for 64.
const maxParsed = 256

func (e *Entry) readTOTP(ref Ref, data []byte) {
	k, err := totp.Parse(string(data))
	if err != nil {
		e.Problem = ref.problem(v1alpha1.ReasonInvalidTOTPSecret, "cannot be used for an authenticator app: %v. kubectl sftp totp creates one that can", err)
		return
	}
	e.TOTP = &config.TOTP{Secret: k.Secret(), Digits: k.Digits(), Algorithm: k.Algorithm()}
}

// readHash returns a hash that was made elsewhere. It may end with a newline.
func (e *Entry) readHash(ref Ref, data []byte) {
	text := strings.TrimSpace(string(data))
	if _, err := password.Parse(text); err != nil {
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPassword, "cannot be used as the hash of a password: %v", err)
		return
	}
	// A different source than for the same entry as a clear-text password.
	e.Password = &config.Password{Hash: text, Source: e.source(ref) + "#hash"}
}

func (e *Entry) readPassword(ref Ref, data []byte, hash func([]byte, string) (*config.Password, error)) error {
	switch _, err := password.Parse(string(data)); {
	case len(data) == 0:
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPassword, "is empty; put the password there")
		return nil
	case err == nil:
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPassword, "holds the hash of a password; set spec.authentication.passwordSecretRef.format to Hash, or put the password there")
		return nil
	case len(data) > password.MaxLength:
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPassword, "has %d bytes, but a password may have at most %d", len(data), password.MaxLength)
		return nil
	case strings.ContainsAny(string(data), "\r\n"):
		// Usually an "echo" without -n: a line end cannot be typed at a prompt.
		e.Problem = ref.problem(v1alpha1.ReasonInvalidPassword, "contains a line end; write the password without it (kubectl create secret ... --from-literal, or printf %%s)")
		return nil
	}
	var err error
	if e.Password, err = hash(data, e.source(ref)); err != nil {
		return err
	}
	e.PasswordLength = utf8.RuneCount(data)
	return nil
}

// source identifies the version of a password as stored in its record.
func (e *Entry) source(ref Ref) string {
	if e.Version == "" {
		return ""
	}
	return e.Version + "/" + ref.Entry
}

// Hash hashes a password, unless previous is a hash of the same password in this release's
// format: a new hash would end the user's sessions and rewrite a shard for nothing. It takes 19
// MiB and some 20 ms of a core.
func Hash(data []byte, source string, previous *config.Password) (*config.Password, error) {
	if previous != nil && source != "" && previous.Source == source {
		return previous, nil
	}
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
