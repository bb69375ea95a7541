package auth

import (
	"crypto/rsa"
	"errors"
	"strings"
)

// Failed reports a forged signature: x/crypto ends the connection with its error and calls nothing. It does not say which key
// it was. If the client had several keys accepted, it is one of those, and each is reported. A refused key has been reported
// already.
func (l *Login) Failed(err error) {
	if !forged(err) {
		return
	}
	for _, key := range l.unproven {
		l.report(key)
	}
	l.unproven = nil
}

// forged reports whether err is what ssh.PublicKey.Verify returns for a signature that does not match the key, or that a
// security key made without user presence.
func forged(err error) bool {
	return errors.Is(err, rsa.ErrVerification) || err != nil && strings.HasPrefix(err.Error(), "ssh: signature ")
}
