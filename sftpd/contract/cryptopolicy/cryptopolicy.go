// Package cryptopolicy holds the named sets of SSH algorithms that an endpoint can
// offer. A set never changes after its release; a new year brings a new name.
//
// Every list is complete, because the defaults of golang.org/x/crypto/ssh still include SHA-1 in all of them.
package cryptopolicy

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Policy is a set of algorithms, each list in the order of preference.
type Policy struct {
	// Name as in config.Listener.CryptoPolicy.
	Name string
	// Exception: the policy is allowed only for named networks, and only until an expiration time.
	Exception bool
	// KeyExchanges, Ciphers and MACs of the transport (RFC 4253 sections 6 and 7).
	KeyExchanges, Ciphers, MACs []string
	// Preferred are ciphers that a client gets if it supports one of them for either direction, whatever its own order, on
	// machines with AES instructions.
	Preferred []string
	// HostKeys are signature algorithms, for the types of host keys that exist.
	HostKeys []string
	// PublicKeys are the signature algorithms with which users log in, sent to clients
	// as server-sig-algs (RFC 8308 section 3.1).
	PublicKeys []string
	// MinRSABits is the smallest RSA modulus, of host keys and of users' keys.
	MinRSABits int
	// RekeyBytes is the number of bytes in one direction after which keys are exchanged again.
	RekeyBytes uint64
	// RekeyTime is the time after which they are.
	RekeyTime time.Duration
}

// All returns the policies that exist, the default first.
func All() []Policy { return slices.Clone(policies) }

// Lookup returns the policy with a name. The error lists the existing names.
func Lookup(name string) (Policy, error) {
	var names []string
	for _, p := range policies {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, fmt.Errorf("crypto policy %q is not known to this daemon, which supports %s", name, strings.Join(names, ", "))
}

// Apply sets the lists and the volume of an SSH server or client. The lists of c are
// copies.
func (p Policy) Apply(c *ssh.Config) {
	c.KeyExchanges = slices.Clone(p.KeyExchanges)
	c.Ciphers = slices.Clone(p.Ciphers)
	c.MACs = slices.Clone(p.MACs)
	c.RekeyThreshold = p.RekeyBytes
}

// Signer restricts a host key to the policy's signature algorithms, so that an RSA key signs with SHA-1 only where the policy
// allows it. A key of a type that the policy does not allow, or one that is too short, is an error.
func (p Policy) Signer(s ssh.Signer) (ssh.MultiAlgorithmSigner, error) {
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("a key of type %s cannot choose its signature algorithm", s.PublicKey().Type())
	}
	if err := p.CheckHostKey(s.PublicKey()); err != nil {
		return nil, err
	}
	return ssh.NewSignerWithAlgorithms(as, offered(s.PublicKey().Type(), p.HostKeys))
}

// CheckHostKey returns what is wrong with a public key as a host key, and what to do.
func (p Policy) CheckHostKey(k ssh.PublicKey) error { return p.check(k, p.HostKeys) }

// CheckUserKey returns what is wrong with a public key for logging in, and what to do.
func (p Policy) CheckUserKey(k ssh.PublicKey) error { return p.check(k, p.PublicKeys) }

func (p Policy) check(k ssh.PublicKey, algorithms []string) error {
	switch {
	case len(offered(k.Type(), algorithms)) == 0:
		return fmt.Errorf("crypto policy %s does not allow keys of type %s; create a new key, preferably Ed25519", p.Name, k.Type())
	case p.TooShort(k):
		return fmt.Errorf("RSA key of %d bits is too short for crypto policy %s: at least %d are required; create a new key, preferably Ed25519",
			rsaBits(k), p.Name, p.MinRSABits)
	}
	return nil
}

// TooShort reports whether an RSA key has fewer bits than the policy requires.
func (p Policy) TooShort(k ssh.PublicKey) bool {
	return k.Type() == ssh.KeyAlgoRSA && rsaBits(k) < p.MinRSABits
}

// offered returns the algorithms of a list with which keys of a type sign, in the list's order.
func offered(keyType string, list []string) []string {
	of := []string{keyType}
	if keyType == ssh.KeyAlgoRSA {
		of = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return slices.DeleteFunc(of, func(a string) bool { return !slices.Contains(list, a) })
}

func rsaBits(k ssh.PublicKey) int {
	if c, ok := k.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
			return r.N.BitLen()
		}
	}
	return 0
}
