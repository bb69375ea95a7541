package hostkeys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/hostcert"
)

// Key is a host key with which an endpoint signs.
type Key struct {
	// Signer is restricted to the policy's signature algorithms, in its order.
	Signer ssh.MultiAlgorithmSigner
	// Fingerprint as OpenSSH prints it, "SHA256:...".
	Fingerprint string
	// State as in config.HostKey.
	State string

	certificate *ssh.Certificate // nil for none
	certified   ssh.MultiAlgorithmSigner
}

// Set is the set of an endpoint's host keys. It is immutable.
type Set struct {
	keys []*Key
	// exchange are the keys for key exchanges, one of each type.
	exchange []*Key
	// coming are advertised keys of types that no key of exchange has, one of each type.
	coming       []*Key
	byWire       map[string]*Key
	announcement []byte
}

// Load reads private keys in OpenSSH's format or in PEM (PKCS #1, PKCS #8, SEC 1) and restricts each to the policy's signature
// algorithms and sizes. It accepts Ed25519, ECDSA on the NIST curves and RSA, as far as the policy allows them. The settings
// contain the states and certificates of the files, in the same order.
//
// Two active keys of one type are an error: a client asks for a type, not for a key, and
// x/crypto's server keeps one key of each (ssh.ServerConfig.AddHostKey), so the second
// would silently replace the first. Errors number keys from 0, like the files' names.
func Load(files [][]byte, settings []config.HostKey, policy cryptopolicy.Policy) (*Set, error) {
	if len(files) != len(settings) {
		return nil, fmt.Errorf("there are settings for %d host keys, but %d key files", len(settings), len(files))
	}
	r := &Set{byWire: map[string]*Key{}}
	active := map[string]int{}
	for i, data := range files {
		k, err := load(data, settings[i], policy)
		if err != nil {
			return nil, fmt.Errorf("host key %d: %w", i, err)
		}
		wire, kind := k.Signer.PublicKey().Marshal(), k.Signer.PublicKey().Type()
		if r.byWire[string(wire)] != nil {
			return nil, fmt.Errorf("host key %d: duplicate of an earlier key; name each key once", i)
		}
		if k.State == config.HostKeyActive {
			if first, twice := active[kind]; twice {
				return nil, fmt.Errorf("host key %d has the same type as host key %d, %s, and both are active; "+
					"an endpoint can have only one active key of each type", i, first, kind)
			}
			active[kind] = i
		}
		r.keys, r.byWire[string(wire)] = append(r.keys, k), k
		if settings[i].Announced() {
			r.announcement = binary.BigEndian.AppendUint32(r.announcement, uint32(len(wire)))
			r.announcement = append(r.announcement, wire...)
		}
	}
	r.choose(active)
	return r, nil
}

// choose selects the keys for key exchanges: the active ones, and the first retiring one of
// a type that has no active key. Of the other types, the first advertised one is for clients
// that know none of these.
func (r *Set) choose(active map[string]int) {
	has := map[string]bool{}
	for kind := range active {
		has[kind] = true
	}
	for _, k := range r.keys {
		kind := k.Signer.PublicKey().Type()
		switch {
		case k.State == config.HostKeyActive:
		case k.State == config.HostKeyRetiring && !has[kind]:
			has[kind] = true
		default:
			continue
		}
		r.exchange = append(r.exchange, k)
	}
	for _, k := range r.keys {
		if kind := k.Signer.PublicKey().Type(); k.State == config.HostKeyAdvertised && !has[kind] {
			has[kind] = true
			r.coming = append(r.coming, k)
		}
	}
}

func load(data []byte, settings config.HostKey, policy cryptopolicy.Policy) (*Key, error) {
	signer, err := parse(data, policy)
	if err != nil {
		return nil, err
	}
	k := &Key{Signer: signer, Fingerprint: ssh.FingerprintSHA256(signer.PublicKey()), State: settings.State}
	if settings.Certificate == "" {
		return k, nil
	}
	if k.certificate, err = hostcert.Parse(settings.Certificate, signer.PublicKey(), policy); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	certified, err := ssh.NewCertSigner(k.certificate, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	// It supports the algorithms of its key (see x/crypto's NewCertSigner).
	all, ok := certified.(ssh.MultiAlgorithmSigner)
	if !ok {
		return nil, errors.New("certificate: it cannot be restricted to signature algorithms")
	}
	k.certified = all
	return k, nil
}

// Signers returns the signers for key exchanges that begin now, in the order of the list:
// each key, followed by the same key with its certificate if that is valid now. A
// certificate adds its own algorithms, for those of its key that the policy allows.
func (r *Set) Signers(now time.Time) []ssh.MultiAlgorithmSigner { return signers(r.exchange, now) }

// SignersFor returns the signers for a key exchange with a client that offers host key algorithms (server_host_key_algorithms,
// RFC 4253 section 7.1). They are those of Signers, unless the client offers none of their algorithms. Such a client cannot have
// connected before, so it knows no key of this endpoint that a different one could contradict, and gets the advertised keys of
// other types without waiting until they are active.
func (r *Set) SignersFor(offered []string, now time.Time) []ssh.MultiAlgorithmSigner {
	current := r.Signers(now)
	for _, s := range current {
		if slices.ContainsFunc(s.Algorithms(), func(a string) bool { return slices.Contains(offered, a) }) {
			return current
		}
	}
	return append(current, signers(r.coming, now)...)
}

func signers(keys []*Key, now time.Time) []ssh.MultiAlgorithmSigner {
	var out []ssh.MultiAlgorithmSigner
	for _, k := range keys {
		out = append(out, k.Signer)
		if k.certificate != nil && validAt(k.certificate, now) {
			out = append(out, k.certified)
		}
	}
	return out
}

// Uncertified returns the keys that key exchanges use without their certificate because it
// is not valid now.
func (r *Set) Uncertified(now time.Time) []*Key {
	var out []*Key
	for _, k := range r.exchange {
		if k.certificate != nil && !validAt(k.certificate, now) {
			out = append(out, k)
		}
	}
	return out
}

// Announcement returns the payload of a global request hostkeys-00@openssh.com (OpenSSH
// PROTOCOL section 2.5): the announced public keys, each as a string in SSH wire format.
func (r *Set) Announcement() []byte { return r.announcement }

// Find returns the key with a public key in SSH wire format, whatever its state.
func (r *Set) Find(wire []byte) (*Key, bool) {
	k, ok := r.byWire[string(wire)]
	return k, ok
}

// Has reports whether there is a key with this fingerprint.
func (r *Set) Has(fingerprint string) bool {
	for _, k := range r.keys {
		if k.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}
