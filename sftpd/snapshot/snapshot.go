// Package snapshot holds one loaded configuration in the form that logins need: users
// indexed by login name, keys and password hashes parsed, host keys ready to sign.
// A Snapshot never changes; a reload makes another one.
package snapshot

import (
	"fmt"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// Snapshot is one configuration. It is immutable and safe for concurrent use.
type Snapshot struct {
	// Digest of the configuration, see config.Files.
	Digest string
	// LoadedAt is when it was built.
	LoadedAt time.Time
	// Listener is the endpoint's settings.
	Listener config.Listener
	// AllowFrom are the networks that may connect; empty allows all.
	AllowFrom networks.Set
	// Proxies are the networks whose connections must begin with a PROXY protocol header;
	// nil if the endpoint does not use it.
	Proxies *networks.Set
	// Exempt are the networks without penalties and limits per source.
	Exempt networks.Set
	// StatusKey is what the daemon and the operator prove themselves to each other with.
	StatusKey string
	// Rejected are the users who cannot log in because of their records.
	Rejected []config.Rejection

	// crypto is of the policy that Listener.CryptoPolicy names, lapsed of the one that
	// comes after it.
	crypto, lapsed *Crypto
	parts          map[string]*part // the shards by their digests
	users          map[string]*User
	uids           map[string]struct{}
	revoked        revocations
	decoys         decoys
	userCAs        map[string]bool // by their keys in SSH wire format
}

// Build parses a configuration. It fails on an unknown crypto policy and on host keys that
// cannot be used. A user whose record cannot be used is in Rejected instead. Known shards are
// those that the snapshot before Knows; it may be nil if there are none.
func Build(files *config.Files, before *Snapshot, now time.Time) (*Snapshot, error) {
	crypto, err := newCrypto(files.Listener.CryptoPolicy, files)
	if err != nil {
		return nil, err
	}
	lapsed := crypto
	if files.Listener.CryptoPolicyNotAfter != nil {
		// Now, and not when it is too late: no host key may be left without a policy.
		if lapsed, err = newCrypto(cryptopolicy.Default, files); err != nil {
			return nil, fmt.Errorf("after cryptoPolicyNotAfter: %w", err)
		}
	}
	s := &Snapshot{
		Digest:   files.Digest,
		LoadedAt: now,

		StatusKey: config.StatusKey(files.HostKeys),

		Listener: files.Listener,
		crypto:   crypto,
		lapsed:   lapsed,
		parts:    parseShards(files, before),
		revoked:  newRevocations(files.Listener.Revoked),
	}
	if s.userCAs, err = parseUserCAs(files.Listener.Authentication.TrustedUserCAs); err != nil {
		return nil, err
	}
	if err := s.parseNetworks(); err != nil {
		return nil, err
	}
	s.addUsers(files.Shards)
	s.decoys = newDecoys(files.HostKeys[0], s.users)
	return s, nil
}

func (s *Snapshot) parseNetworks() (err error) {
	if s.AllowFrom, err = networks.Parse(s.Listener.AllowFrom); err != nil {
		return fmt.Errorf("allowFrom: %w", err)
	}
	if s.Exempt, err = networks.Parse(s.Listener.Sources.ExemptFrom); err != nil {
		return fmt.Errorf("sources.exemptFrom: %w", err)
	}
	if p := s.Listener.ProxyProtocol; p != nil {
		trusted, err := networks.Parse(p.TrustedFrom)
		if err != nil {
			return fmt.Errorf("proxyProtocol.trustedFrom: %w", err)
		}
		s.Proxies = &trusted
	}
	return nil
}

// Lookup returns the user of a login name.
func (s *Snapshot) Lookup(username string) (*User, bool) {
	u, ok := s.users[username]
	return u, ok
}

// HasUser says whether a user with this UID can log in.
func (s *Snapshot) HasUser(uid string) bool {
	_, ok := s.uids[uid]
	return ok
}

// CodesVolume is the directory of the volume on which daemons share what codes were used, ""
// for a daemon that is alone.
func (s *Snapshot) CodesVolume() string {
	v, _ := s.Listener.Volume(s.Listener.Authentication.SharedCodes)
	return v.Path
}

// Users is the number of users who can log in.
func (s *Snapshot) Users() int { return len(s.users) }

// Offers says whether the endpoint offers a method, config.MethodPublicKey or
// config.MethodPassword.
func (s *Snapshot) Offers(method string) bool { return offers(s.Listener, method) }

func offers(l config.Listener, method string) bool {
	return slices.Contains(l.Authentication.Methods, method)
}

// RejectedUIDs are the UIDs of Rejected for config.Status, at most
// config.MaxRejectedUIDs of them.
func (s *Snapshot) RejectedUIDs() []string {
	var uids []string
	for _, r := range s.Rejected {
		if r.UID != "" && len(uids) < config.MaxRejectedUIDs {
			uids = append(uids, r.UID)
		}
	}
	return uids
}

// String names the configuration in logs.
func (s *Snapshot) String() string {
	return fmt.Sprintf("%s/%s@%.12s", s.Listener.Namespace, s.Listener.Name, s.Digest)
}
