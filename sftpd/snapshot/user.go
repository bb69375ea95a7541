package snapshot

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

// User is one login.
type User struct {
	// Username is the login name.
	Username string
	// UID is the SFTPUser's: a user that was deleted and recreated has a different one.
	UID string
	// Account is "namespace/name" of the SFTPUser.
	Account string
	// Namespace of the SFTPUser, see Snapshot.Shared.
	Namespace string
	// Methods are the combinations of factors, each of which logs in.
	Methods factor.Set
	// Password of the user, nil for none.
	Password *Password
	// TOTP is the key of an authenticator app; its zero value is none.
	TOTP totp.Key
	// Certificates of the endpoint's CAs for this login name log in, as keys do.
	Certificates bool
	// NotAfter is when the login ends, zero for never.
	NotAfter time.Time
	// MaxConnections at one time, at least 1: the smaller of the listener's and the
	// user's limit.
	MaxConnections int
	// MaxNamespaceConnections of all users of the namespace, 0 if none is set.
	MaxNamespaceConnections int
	// AllowFrom are the networks that may log in, in addition to the listener's and the
	// key's restrictions; empty allows all.
	AllowFrom networks.Set
	// EventSinks get the user's events, of those that select users.
	EventSinks []string
	// Mounts make up the user's tree.
	Mounts []Mount

	keys map[string]*Key
}

// Password is a parsed hash together with the text that it was parsed from, which
// identifies it.
type Password struct {
	password.Hash
	Text string
}

// Mount is a directory in a user's tree.
type Mount struct {
	// Path in the tree.
	Path string
	// Dir is the volume's directory on the daemon's file system.
	Dir string
	// SubPath below Dir.
	SubPath string
	// Access is one of config's: ReadWrite, ReadOnly, WriteOnly, CreateOnly.
	Access string
	// ListNames lets a WriteOnly or CreateOnly directory be listed.
	ListNames bool
	// IgnoreAttributes makes changes to attributes succeed without effect.
	IgnoreAttributes bool
}

// Key is a public key that may log in.
type Key struct {
	// Fingerprint as OpenSSH prints it, "SHA256:...".
	Fingerprint string
	// NotBefore and NotAfter bound the time in which it logs in, zero for no bound.
	NotBefore, NotAfter time.Time

	from     networks.Set
	anywhere bool
}

// Key returns a user's key by its SSH wire format (RFC 4253 section 6.6).
func (u *User) Key(wire []byte) (*Key, bool) {
	k, ok := u.keys[string(wire)]
	return k, ok
}

// Expired reports whether the login has ended.
func (u *User) Expired(now time.Time) bool {
	return !u.NotAfter.IsZero() && !now.Before(u.NotAfter)
}

// Admits reports whether the key may be used from an address.
func (k *Key) Admits(source netip.Addr) bool { return k.anywhere || k.from.Contains(source) }

// Begun reports whether the key's validity has begun.
func (k *Key) Begun(now time.Time) bool { return !now.Before(k.NotBefore) }

// Expired reports whether the key's validity has ended.
func (k *Key) Expired(now time.Time) bool { return !k.NotAfter.IsZero() && !now.Before(k.NotAfter) }

func newUser(u config.User, l config.Listener) (*User, error) {
	user := &User{
		Username:       u.Username,
		UID:            u.UID,
		Account:        u.Namespace + "/" + u.Name,
		Namespace:      u.Namespace,
		NotAfter:       value(u.NotAfter),
		Certificates:   u.Certificates,
		EventSinks:     u.EventSinks,
		MaxConnections: l.Limits.MaxConnectionsPerUser,
		keys:           make(map[string]*Key, len(u.Keys)),

		MaxNamespaceConnections: u.MaxNamespaceConnections,
	}
	if u.MaxConnections > 0 {
		user.MaxConnections = min(user.MaxConnections, u.MaxConnections)
	}
	for i, k := range u.Keys {
		if err := user.addKey(k); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
	}
	if u.Password != nil {
		hash, err := password.Parse(u.Password.Hash)
		if err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
		user.Password = &Password{Hash: hash, Text: u.Password.Hash}
	}
	var err error
	if user.Methods, err = factor.ParseSet(u.Methods); err != nil {
		return nil, fmt.Errorf("methods: %w", err)
	}
	if t := u.TOTP; t != nil {
		if user.TOTP, err = totp.New(t.Secret, t.Digits, t.Algorithm); err != nil {
			return nil, fmt.Errorf("totp: %w", err)
		}
	}
	if user.AllowFrom, err = networks.Parse(u.AllowFrom); err != nil {
		return nil, fmt.Errorf("allowFrom: %w", err)
	}
	for _, m := range u.Mounts {
		v, ok := l.Volume(m.Volume)
		if !ok {
			return nil, fmt.Errorf("mount %q: the listener has no volume %q", m.Path, m.Volume)
		}
		user.Mounts = append(user.Mounts, Mount{
			Path: m.Path, Dir: v.Path, SubPath: m.SubPath, Access: m.Access,
			ListNames: m.ListNames, IgnoreAttributes: v.IgnoreAttributes,
		})
	}
	// The user's author learns of it from the acknowledgment, not from a failing login.
	if user.Methods = user.possible(l); len(user.Methods) == 0 {
		return nil, errors.New("no combination of the user's methods can succeed with its keys and the methods that the listener offers")
	}
	return user, nil
}

// possible returns the combinations that can succeed, so that no login reaches a factor
// that cannot be completed. Codes are not a method of the listener: they are only added to
// others.
func (u *User) possible(l config.Listener) factor.Set {
	have := factor.Credentials{Password: u.Password != nil && offers(l, config.MethodPassword), TOTP: u.TOTP != totp.Key{}}
	switch {
	case !offers(l, config.MethodPublicKey):
	case u.Certificates && len(l.Authentication.TrustedUserCAs) > 0:
		have.Keys = factor.MaxSteps
	default:
		have.Keys = len(u.keys)
	}
	return u.Methods.Possible(have)
}

// addKey adds a key. A duplicate key is allowed from the networks of both, as in an
// authorized_keys file; but not if one has a validity period, because it would be unclear
// which one a login used.
func (u *User) addKey(c config.Key) error {
	parsed, err := publickey.ParseLine(c.PublicKey)
	if err != nil {
		return err
	}
	if len(parsed.From) > 0 {
		return errors.New("put the key's networks in the field from, not in the key's line")
	}
	wire := string(parsed.Marshal())
	k := u.keys[wire]
	if k == nil {
		k = &Key{Fingerprint: parsed.Fingerprint(), NotBefore: value(c.NotBefore), NotAfter: value(c.NotAfter)}
		u.keys[wire] = k
	} else if !k.NotBefore.IsZero() || !k.NotAfter.IsZero() || c.NotBefore != nil || c.NotAfter != nil {
		return errors.New("duplicate key with a validity period")
	}
	k.anywhere = k.anywhere || len(c.From) == 0
	from, err := networks.Parse(c.From)
	if err != nil {
		return fmt.Errorf("from: %w", err)
	}
	k.from = k.from.Union(from)
	return nil
}

func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
