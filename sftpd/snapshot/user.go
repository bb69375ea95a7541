package snapshot

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
	// UID is the SFTPUser's: a user who was deleted and made again has another.
	UID string
	// Account is "namespace/name" of the SFTPUser.
	Account string
	// Methods are the combinations of steps of which each logs in.
	Methods factor.Set
	// Password, nil for none.
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
	// AllowFrom are the networks that may log in, beside what the listener and the key
	// say; empty allows all.
	AllowFrom networks.Set
	// Mounts make up the user's tree.
	Mounts []Mount

	keys map[string]*Key
}

// Password is a parsed hash together with the text that it was parsed from, which tells
// one password from another.
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
	// IgnoreAttributes makes changes of attributes succeed without effect.
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

// Expired says whether the login has ended.
func (u *User) Expired(now time.Time) bool {
	return !u.NotAfter.IsZero() && !now.Before(u.NotAfter)
}

// Admits says whether the key may be used from an address.
func (k *Key) Admits(source netip.Addr) bool { return k.anywhere || k.from.Contains(source) }

// Begun says whether the key's time has come.
func (k *Key) Begun(now time.Time) bool { return !now.Before(k.NotBefore) }

// Expired says whether the key's time is over.
func (k *Key) Expired(now time.Time) bool { return !k.NotAfter.IsZero() && !now.Before(k.NotAfter) }

func newUser(u config.User, l config.Listener) (*User, error) {
	user := &User{
		Username:       u.Username,
		UID:            u.UID,
		Account:        u.Namespace + "/" + u.Name,
		NotAfter:       value(u.NotAfter),
		Certificates:   u.Certificates,
		MaxConnections: l.Limits.MaxConnectionsPerUser,
		keys:           make(map[string]*Key, len(u.Keys)),
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
	// Whoever made the user learns of it from the acknowledgement and not from a failing
	// login.
	if user.Methods = user.possible(l); len(user.Methods) == 0 {
		return nil, errors.New("no combination of the user's methods can succeed with its keys and the methods that the listener offers")
	}
	return user, nil
}

// possible leaves the combinations that can succeed, for no login may get as far as to a
// step that nobody can take. Codes are no method of the listener's: they only come on top.
func (u *User) possible(l config.Listener) factor.Set {
	keys := len(u.keys)
	if u.Certificates && len(l.Authentication.TrustedUserCAs) > 0 {
		keys = factor.MaxSteps
	}
	return slices.DeleteFunc(u.Methods, func(c factor.Combination) bool {
		byKey, byPassword, byCode := c.Count(factor.PublicKey), c.Count(factor.Password), c.Count(factor.TOTP)
		return byKey > keys || byKey > 0 && !offers(l, config.MethodPublicKey) ||
			byPassword > 0 && (u.Password == nil || !offers(l, config.MethodPassword)) ||
			byCode > 0 && u.TOTP == totp.Key{}
	})
}

// addKey adds a key. A key that stands twice is admitted from the networks of both, as
// in an authorized_keys file; not so if one of the two has a time, for nobody could tell
// which of them a login would be of.
func (u *User) addKey(c config.Key) error {
	parsed, err := publickey.ParseLine(c.PublicKey)
	if err != nil {
		return err
	}
	if len(parsed.From) > 0 {
		return errors.New("the networks of a key belong into its field from, not into the key's line")
	}
	wire := string(parsed.Marshal())
	k := u.keys[wire]
	if k == nil {
		k = &Key{Fingerprint: parsed.Fingerprint(), NotBefore: value(c.NotBefore), NotAfter: value(c.NotAfter)}
		u.keys[wire] = k
	} else if !k.NotBefore.IsZero() || !k.NotAfter.IsZero() || c.NotBefore != nil || c.NotAfter != nil {
		return errors.New("it stands twice, and has a time")
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
