// Package snapshot holds one loaded configuration in the form that logins need: users indexed by login name, keys and password
// hashes parsed, host keys ready to sign. A Snapshot never changes; a reload creates a new one.
package snapshot

import (
	"fmt"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
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
	// StatusKey is the key with which the daemon and the operator authenticate to each other.
	StatusKey string
	// EventsKey is the key that requests for events are proven with, nil if no events are recorded.
	EventsKey []byte
	// Receipts signs receipts, nil if none are issued.
	Receipts *receipt.Signer
	// Rejected are the users who cannot log in because of their records.
	Rejected []config.Rejection

	// crypto is for the policy named by Listener.CryptoPolicy, lapsed for the one that
	// follows it.
	crypto, lapsed *Crypto
	parts          map[string]*part // the shards by their digests
	users          map[string]*User
	uids           map[string]struct{}
	eventSinks     map[string][]string // by account; only accounts that have some
	revoked        revocations
	refused        refused
	decoys         decoys
	namespaces     namespaces
	userCAs        map[string]bool // by their keys in SSH wire format
}

// Build parses a configuration. It fails on an unknown crypto policy and on host keys that
// cannot be used. A user whose record cannot be used is in Rejected instead. Known shards are
// those that the previous snapshot Knows; it may be nil.
func Build(files *config.Files, before *Snapshot, now time.Time) (*Snapshot, error) {
	crypto, err := newCrypto(files.Listener.CryptoPolicy, files)
	if err != nil {
		return nil, err
	}
	lapsed := crypto
	if files.Listener.CryptoPolicyNotAfter != nil {
		// Check this now, before it is too late: the policy that follows must support a host key.
		if lapsed, err = newCrypto(cryptopolicy.Default, files); err != nil {
			return nil, fmt.Errorf("after cryptoPolicyNotAfter: %w", err)
		}
	}
	s := &Snapshot{
		Digest:   files.Digest,
		LoadedAt: now,

		StatusKey: config.StatusKey(files.HostKeys),
		EventsKey: files.EventsKey,
		Receipts:  files.Receipts,

		Listener: files.Listener,
		crypto:   crypto,
		lapsed:   lapsed,
		parts:    parseShards(files, before),
		revoked:  newRevocations(files.Listener.Revoked),
		refused:  newRefused(files.Listener.RefusedUsers),
	}
	if s.userCAs, err = parseUserCAs(files.Listener.Authentication.TrustedUserCAs); err != nil {
		return nil, err
	}
	if err := s.parseNetworks(); err != nil {
		return nil, err
	}
	s.addUsers(files.Shards)
	s.decoys = newDecoys(files.HostKeys[0], s.users)
	s.namespaces = newNamespaces(files.HostKeys[0], files.Shards, s.parts)
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

// EventSinks returns the sinks with config.EventSink.Selected that get the events of an account, "namespace/name".
func (s *Snapshot) EventSinks(account string) []string { return s.eventSinks[account] }

// HasUser reports whether a user with this UID can log in.
func (s *Snapshot) HasUser(uid string) bool {
	_, ok := s.uids[uid]
	return ok
}

// CodesVolume returns the directory of the volume on which daemons share the used codes, "" for a single daemon.
func (s *Snapshot) CodesVolume() string {
	v, _ := s.Listener.Volume(s.Listener.Authentication.SharedCodes)
	return v.Path
}

// Users returns the number of users who can log in.
func (s *Snapshot) Users() int { return len(s.users) }

// Offers reports whether the endpoint offers a method, config.MethodPublicKey or
// config.MethodPassword.
func (s *Snapshot) Offers(method string) bool { return offers(s.Listener, method) }

func offers(l config.Listener, method string) bool {
	return slices.Contains(l.Authentication.Methods, method)
}

// RejectedUIDs returns the UIDs of Rejected for config.Status, at most
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
