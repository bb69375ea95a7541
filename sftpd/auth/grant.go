package auth

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// Grant is the basis of a login: everything that must remain true for its session to continue. It is immutable.
type Grant struct {
	// Username, UID, Account and Namespace of the user, see snapshot.User.
	Username, UID, Account, Namespace string
	// Steps that succeeded, in their order.
	Steps factor.Combination
	// Keys that were proven, in their order.
	Keys []ProvenKey
	// Source is the client's address.
	Source netip.Addr
	// Detail for people about how it was granted, "" for none.
	Detail string
	// Mounts that the session sees.
	Mounts []snapshot.Mount

	passwordText string   // of the hash that matched, "" for none
	totp         totp.Key // whose code was right, zero for none
}

// ProvenKey is a key whose private key the client has.
type ProvenKey struct {
	Fingerprint string
	// Certificate of the key, nil for none.
	Certificate *Certificate
	// SignatureAlgorithm that it was proven with.
	SignatureAlgorithm string

	wire string
}

// Certificate returns the certificate of the first key that has one, nil for none.
func (g *Grant) Certificate() *Certificate {
	for _, k := range g.Keys {
		if k.Certificate != nil {
			return k.Certificate
		}
	}
	return nil
}

// Fingerprints returns the keys' fingerprints, in order.
func (g *Grant) Fingerprints() []string {
	out := make([]string, 0, len(g.Keys))
	for _, k := range g.Keys {
		out = append(out, k.Fingerprint)
	}
	return out
}

// with returns a copy with one more step.
func (g *Grant) with(step factor.Step) *Grant {
	next := *g
	next.Steps = append(slices.Clip(g.Steps), step)
	next.Keys = slices.Clip(g.Keys)
	return &next
}

// proved reports whether a key is one of the grant's.
func (g *Grant) proved(wire []byte) bool {
	return slices.ContainsFunc(g.Keys, func(k ProvenKey) bool { return k.wire == string(wire) })
}

// grantKey is the key of a Grant in ssh.Permissions.ExtraData.
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
	return &Grant{Username: u.Username, UID: u.UID, Account: u.Account, Namespace: u.Namespace, Source: source, Mounts: u.Mounts}
}

// Recheck returns why a session may not exist under a configuration, "" if it may. It is called on every reload, and when a
// login completes, because the configuration may have changed in the meantime. The user is the one in s.
func Recheck(s *snapshot.Snapshot, g *Grant, now time.Time) (*snapshot.User, event.Reason) {
	u, ok := s.Lookup(g.Username)
	// Checked first, because administrators who revoke something look for this reason in the audit log.
	for _, k := range g.Keys {
		switch {
		case s.KeyRevoked(k.Fingerprint):
			return nil, event.KeyRevoked
		case k.Certificate != nil && k.Certificate.revoked(s):
			return nil, event.CertificateRevoked
		}
	}
	switch {
	case !ok || u.UID != g.UID:
		return nil, s.WhyGone(g.UID)
	case u.Expired(now):
		return nil, event.UserExpired
	case !s.AllowFrom.Admits(g.Source) || !u.AllowFrom.Admits(g.Source):
		return nil, event.SourceNotAllowed
	}
	if reason := recheckSteps(s, u, g, now); reason != "" {
		return nil, reason
	}
	if !slices.Equal(u.Mounts, g.Mounts) {
		return nil, event.MountsChanged
	}
	return u, ""
}

// recheckSteps checks that each step of a login would still succeed, and that together they
// still suffice.
func recheckSteps(s *snapshot.Snapshot, u *snapshot.User, g *Grant, now time.Time) event.Reason {
	for _, k := range g.Keys {
		if !s.Offers(config.MethodPublicKey) {
			return event.MethodNotOffered
		}
		if reason := recheckKey(s, u, k, g.Source, now); reason != "" {
			return reason
		}
	}
	if g.passwordText != "" {
		if !s.Offers(config.MethodPassword) {
			return event.MethodNotOffered
		}
		if u.Password == nil || u.Password.Text != g.passwordText {
			return event.PasswordChanged
		}
	}
	switch {
	case g.totp != (totp.Key{}) && g.totp != u.TOTP:
		return event.TOTPChanged
	case !u.Methods.CoveredBy(g.Steps):
		return event.SecondFactorRequired
	}
	return ""
}

func recheckKey(s *snapshot.Snapshot, u *snapshot.User, proven ProvenKey, source netip.Addr, now time.Time) event.Reason {
	if proven.Certificate != nil {
		return recheckCertificate(s, u, proven.Certificate, now)
	}
	k, ok := u.Key([]byte(proven.wire))
	switch {
	case !ok:
		return event.KeyRemoved
	case !k.Admits(source):
		return event.SourceNotAllowed
	}
	return keyTime(k, now)
}

// End returns when the authorization of a session ends and why, "" for never: the earliest of the expirations of its user, its
// certificates, and its keys without a certificate. The user is the one that Recheck returned last.
func End(u *snapshot.User, g *Grant) (end time.Time, reason event.Reason) {
	sooner := func(t time.Time, why event.Reason) {
		if !t.IsZero() && (reason == "" || t.Before(end)) {
			end, reason = t, why
		}
	}
	sooner(u.NotAfter, event.UserExpired)
	for _, proven := range g.Keys {
		if c := proven.Certificate; c != nil {
			// It does not matter whether its key is also registered for the user, or until when.
			sooner(c.NotAfter, event.CertificateExpired)
		} else if k, ok := u.Key([]byte(proven.wire)); ok {
			sooner(k.NotAfter, event.KeyExpired)
		}
	}
	return end, reason
}

func keyTime(k *snapshot.Key, now time.Time) event.Reason {
	switch {
	case k.Expired(now):
		return event.KeyExpired
	case !k.Begun(now):
		return event.KeyNotYetValid
	}
	return ""
}
