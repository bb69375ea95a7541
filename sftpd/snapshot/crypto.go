package snapshot

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

// Crypto is what new connections negotiate with.
type Crypto struct {
	Policy cryptopolicy.Policy
	// HostKeys restricted to the policy.
	HostKeys *hostkeys.Set
}

func newCrypto(name string, files *config.Files) (*Crypto, error) {
	policy, err := cryptopolicy.Lookup(name)
	if err != nil {
		return nil, err
	}
	keys, err := hostkeys.Load(files.HostKeys, files.Listener.HostKeys, policy)
	if err != nil {
		return nil, err
	}
	return &Crypto{Policy: policy, HostKeys: keys}, nil
}

// CryptoAt returns what connections that begin at a time use: Listener.CryptoPolicy before
// Listener.CryptoPolicyNotAfter, and cryptopolicy.Default from then on.
func (s *Snapshot) CryptoAt(now time.Time) *Crypto {
	if s.PolicyLapsed(now) {
		return s.lapsed
	}
	return s.crypto
}

// PolicyLapsed reports whether Listener.CryptoPolicy has ended.
func (s *Snapshot) PolicyLapsed(now time.Time) bool {
	end := s.Listener.CryptoPolicyNotAfter
	// By the wall clock, which may be set: a time from a file has no monotonic reading.
	return end != nil && !now.Before(*end)
}
