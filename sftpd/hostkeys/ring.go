package hostkeys

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// Ring are the host keys of an endpoint. It never changes.
type Ring struct {
	keys []*Key
	// exchange are those that key exchanges use, one of each type.
	exchange     []*Key
	byWire       map[string]*Key
	announcement []byte
}

// Load reads private keys in OpenSSH's format or in PEM (PKCS #1, PKCS #8, SEC 1) and
// restricts each to the policy's signature algorithms and sizes. Of Ed25519, ECDSA on the
// NIST curves and RSA those are admitted that the policy has. Settings have the states and
// certificates of the files, in their order.
//
// Two active keys of one type are an error: a client asks for a type, not for a key, and
// x/crypto's server keeps one key of each (ssh.ServerConfig.AddHostKey), so the second
// would silently replace the first. Errors count keys from 0, as the files' names do.
func Load(files [][]byte, settings []config.HostKey, policy cryptopolicy.Policy) (*Ring, error) {
	if len(files) != len(settings) {
		return nil, fmt.Errorf("%d host keys have settings, but there are files of %d", len(settings), len(files))
	}
	r := &Ring{byWire: map[string]*Key{}}
	active := map[string]int{}
	for i, data := range files {
		k, err := load(data, settings[i], policy)
		if err != nil {
			return nil, fmt.Errorf("host key %d: %w", i, err)
		}
		wire, kind := k.Signer.PublicKey().Marshal(), k.Signer.PublicKey().Type()
		if r.byWire[string(wire)] != nil {
			return nil, fmt.Errorf("host key %d: it stands in the list before; name each key once", i)
		}
		if k.State == config.HostKeyActive {
			if first, twice := active[kind]; twice {
				return nil, fmt.Errorf("host key %d: type %s is that of host key %d already, and both are active; "+
					"an endpoint has one active key of each type", i, kind, first)
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

// choose finds the keys of key exchanges: the active ones, and the first retiring one of a
// type that has no active key.
func (r *Ring) choose(active map[string]int) {
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
	// It has the algorithms of its key (x/crypto's NewCertSigner).
	all, ok := certified.(ssh.MultiAlgorithmSigner)
	if !ok {
		return nil, errors.New("certificate: it cannot be restricted to signature algorithms")
	}
	k.certified = all
	return k, nil
}

// Signers are what key exchanges that begin now are signed with, in the order of the list:
// each key, and after it the same with its certificate if that is valid now. A certificate
// brings its algorithms along, which are those of its key that the policy has.
func (r *Ring) Signers(now time.Time) []ssh.MultiAlgorithmSigner {
	var out []ssh.MultiAlgorithmSigner
	for _, k := range r.exchange {
		out = append(out, k.Signer)
		if k.certificate != nil && validAt(k.certificate, now) {
			out = append(out, k.certified)
		}
	}
	return out
}

// Uncertified are the keys that key exchanges use without the certificate that they have,
// since it is not valid now.
func (r *Ring) Uncertified(now time.Time) []*Key {
	var out []*Key
	for _, k := range r.exchange {
		if k.certificate != nil && !validAt(k.certificate, now) {
			out = append(out, k)
		}
	}
	return out
}

// Announcement is the payload of a global request hostkeys-00@openssh.com (OpenSSH PROTOCOL
// section 2.5): the public keys that clients are told of, each as a string in SSH wire format.
func (r *Ring) Announcement() []byte { return r.announcement }

// Find returns the key of a public key in SSH wire format, whatever its state.
func (r *Ring) Find(wire []byte) (*Key, bool) {
	k, ok := r.byWire[string(wire)]
	return k, ok
}

// Has says whether there is a key of a fingerprint.
func (r *Ring) Has(fingerprint string) bool {
	for _, k := range r.keys {
		if k.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}
