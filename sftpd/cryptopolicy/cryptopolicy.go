// Package cryptopolicy holds the named sets of SSH algorithms that an endpoint can
// offer. A set never changes after its release; a new year brings a new name.
//
// Every list is given in full, since the defaults of golang.org/x/crypto/ssh still
// hold SHA-1 in all of them.
package cryptopolicy

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Policy is a set of algorithms, each list in the order of preference.
type Policy struct {
	// Name as in config.Listener.CryptoPolicy.
	Name string
	// KeyExchanges, Ciphers and MACs of the transport (RFC 4253 sections 6 and 7).
	KeyExchanges, Ciphers, MACs []string
	// HostKeys are signature algorithms, for the types of host keys that exist.
	HostKeys []string
	// PublicKeys are the signature algorithms with which users log in, sent to clients
	// as server-sig-algs (RFC 8308 section 3.1).
	PublicKeys []string
}

// Modern2026 is the default: the post-quantum hybrid first, no SHA-1, no CBC, RSA with
// SHA-2 signatures alone.
//
// What it keeps for clients that lack better: the two Diffie-Hellman exchanges for those
// without curve25519, and the plain hmac-sha2 MACs for libssh2 before 1.11 (curl), which
// knows neither AES-GCM nor the encrypt-then-MAC variants.
const Modern2026 = "Modern2026"

var policies = []Policy{{
	Name: Modern2026,
	KeyExchanges: []string{
		ssh.KeyExchangeMLKEM768X25519,
		ssh.KeyExchangeCurve25519, // x/crypto adds its older name, curve25519-sha256@libssh.org
		ssh.KeyExchangeDH16SHA512,
		ssh.KeyExchangeDHGEXSHA256,
	},
	Ciphers: []string{
		ssh.CipherAES128GCM,
		ssh.CipherAES256GCM,
		ssh.CipherChaCha20Poly1305,
		ssh.CipherAES128CTR,
		ssh.CipherAES192CTR,
		ssh.CipherAES256CTR,
	},
	MACs: []string{
		ssh.HMACSHA256ETM,
		ssh.HMACSHA512ETM,
		ssh.HMACSHA256,
		ssh.HMACSHA512,
	},
	HostKeys: []string{
		ssh.KeyAlgoED25519,
		ssh.KeyAlgoECDSA256,
		ssh.KeyAlgoECDSA384,
		ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512,
		ssh.KeyAlgoRSASHA256,
	},
	PublicKeys: []string{
		ssh.KeyAlgoED25519,
		ssh.KeyAlgoSKED25519,
		ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256,
		ssh.KeyAlgoECDSA384,
		ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512,
		ssh.KeyAlgoRSASHA256,
	},
}}

// Lookup returns the policy of a name. The error names those that exist.
func Lookup(name string) (Policy, error) {
	var names []string
	for _, p := range policies {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, fmt.Errorf("crypto policy %q is not known to this daemon, which has %s", name, strings.Join(names, ", "))
}

// Apply sets the lists of an SSH server or client. The lists of c are copies.
func (p Policy) Apply(c *ssh.Config) {
	c.KeyExchanges = slices.Clone(p.KeyExchanges)
	c.Ciphers = slices.Clone(p.Ciphers)
	c.MACs = slices.Clone(p.MACs)
}

// Signer restricts a host key to the policy's signature algorithms, so that an RSA key
// never signs with SHA-1. A key of a type that the policy does not have is an error.
func (p Policy) Signer(s ssh.Signer) (ssh.Signer, error) {
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("a key of type %s cannot choose its signature algorithm", s.PublicKey().Type())
	}
	of := []string{s.PublicKey().Type()}
	if of[0] == ssh.KeyAlgoRSA {
		of = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	allowed := slices.DeleteFunc(of, func(a string) bool { return !slices.Contains(p.HostKeys, a) })
	if len(allowed) == 0 {
		return nil, fmt.Errorf("crypto policy %s has no host keys of type %s", p.Name, s.PublicKey().Type())
	}
	return ssh.NewSignerWithAlgorithms(as, allowed)
}
