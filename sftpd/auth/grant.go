package auth

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// The SSH names of the methods (RFC 4252 sections 7 and 8, RFC 4256).
const (
	PublicKey           = "publickey"
	Password            = "password"
	KeyboardInteractive = "keyboard-interactive"
)

// Grant is what a login was granted for: all that has to stay true for its session to
// go on. It does not change.
type Grant struct {
	// Username, UID and Account of the user, see snapshot.User.
	Username, UID, Account string
	// Methods that succeeded, in their order.
	Methods []string
	// Fingerprint of the key that was used, "" for none.
	Fingerprint string
	// Certificate of that key, nil for none.
	Certificate *Certificate
	// SignatureAlgorithm that the key was proven with, "" without a key.
	SignatureAlgorithm string
	// Source is the client's address.
	Source netip.Addr
	// Mounts that the session sees.
	Mounts []snapshot.Mount

	keyWire      string // of the key that was used, "" for none
	passwordText string // of the hash that matched, "" for none
}

// grantKey is under what a Grant stands in ssh.Permissions.ExtraData.
type grantKey struct{}

func permit(g *Grant) *ssh.Permissions {
	return &ssh.Permissions{ExtraData: map[any]any{grantKey{}: g}}
}

// GrantOf returns what a completed handshake granted, nil for permissions that are not
// of this package.
func GrantOf(p *ssh.Permissions) *Grant {
	if p == nil {
		return nil
	}
	g, _ := p.ExtraData[grantKey{}].(*Grant)
	return g
}

func newGrant(u *snapshot.User, source netip.Addr) *Grant {
	return &Grant{Username: u.Username, UID: u.UID, Account: u.Account, Source: source, Mounts: u.Mounts}
}

// Recheck says whether a session may exist under a configuration: "" if so, and else
// why not. It is used on every reload, and when a login completes, for the
// configuration may have changed while it was going on. The user is the one in s.
func Recheck(s *snapshot.Snapshot, g *Grant, now time.Time) (*snapshot.User, Reason) {
	u, ok := s.Lookup(g.Username)
	switch {
	// First: who revoked something looks for these words in the audit log.
	case s.KeyRevoked(g.Fingerprint):
		return nil, KeyRevoked
	case g.Certificate != nil && g.Certificate.revoked(s):
		return nil, CertificateRevoked
	case !ok || u.UID != g.UID:
		return nil, UserRemoved
	case u.Expired(now):
		return nil, UserExpired
	case !s.AllowFrom.Admits(g.Source) || !u.AllowFrom.Admits(g.Source):
		return nil, SourceNotAllowed
	case u.AllOf && (g.keyWire == "" || g.passwordText == ""):
		return nil, SecondFactorRequired
	}
	if g.keyWire != "" {
		if !s.Offers(config.MethodPublicKey) {
			return nil, MethodNotOffered
		}
		if reason := recheckKey(s, u, g, now); reason != "" {
			return nil, reason
		}
	}
	if g.passwordText != "" {
		if !s.Offers(config.MethodPassword) {
			return nil, MethodNotOffered
		}
		if u.Password == nil || u.Password.Text != g.passwordText {
			return nil, PasswordChanged
		}
	}
	if !slices.Equal(u.Mounts, g.Mounts) {
		return nil, MountsChanged
	}
	return u, ""
}

func recheckKey(s *snapshot.Snapshot, u *snapshot.User, g *Grant, now time.Time) Reason {
	if g.Certificate != nil {
		return recheckCertificate(s, u, g.Certificate, now)
	}
	k, ok := u.Key([]byte(g.keyWire))
	switch {
	case !ok:
		return KeyRemoved
	case !k.Admits(g.Source):
		return SourceNotAllowed
	}
	return keyTime(k, now)
}

// Ended says why the time of a session is over, "" while it is not: that of its user, of its
// certificate, or of its key without one. The user is the one that Recheck returned last.
func Ended(u *snapshot.User, g *Grant, now time.Time) Reason {
	switch {
	case u.Expired(now):
		return UserExpired
	case g.Certificate != nil:
		// Whether its key is the user's, too, and until when, does not matter.
		if g.Certificate.ended(now) {
			return CertificateExpired
		}
	case g.keyWire != "":
		if k, ok := u.Key([]byte(g.keyWire)); ok && k.Expired(now) {
			return KeyExpired
		}
	}
	return ""
}

func keyTime(k *snapshot.Key, now time.Time) Reason {
	switch {
	case k.Expired(now):
		return KeyExpired
	case !k.Begun(now):
		return KeyNotYetValid
	}
	return ""
}
