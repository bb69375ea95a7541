package auth

import (
	"crypto/rsa"
	"errors"
	"strings"
)

// Failed reports a forged signature: x/crypto ends the connection with its error and calls nothing.
// It does not tell which key it was. That of a client which had several accepted is one of those, and
// each is reported. A key that was refused has been.
func (l *Login) Failed(err error) {
	if !forged(err) {
		return
	}
	for _, key := range l.unproven {
		l.report(key)
	}
	l.unproven = nil
}

// forged reports whether err is what ssh.PublicKey.Verify returns for a signature that is not the
// key's, or that a security key made without its user's presence.
func forged(err error) bool {
	return errors.Is(err, rsa.ErrVerification) || err != nil && strings.HasPrefix(err.Error(), "ssh: signature ")
}
