// Package hostproof announces a server's host keys to clients, and proves possession of them: with these OpenSSH
// requests, a client that is logged in learns the server's other host keys, and forgets those that the server no longer
// has (OpenSSH PROTOCOL section 2.5).
package hostproof

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

const (
	// Request is the global request by which a client asks for proofs.
	Request = "hostkeys-prove-00@openssh.com"
	// announcement is the global request that lists the server's keys.
	announcement = "hostkeys-00@openssh.com"
)

// failAtAnnouncements are prefixes of software versions of clients that break when they receive an announcement (OpenSSH's
// compat.c, SSH_BUG_HOSTKEYS).
var failAtAnnouncements = []string{
	"Cisco-1.", "TeraTerm SSH", "TTSSH/1.5.", "TTSSH/2.1", "TTSSH/2.2", "TTSSH/2.3", "TTSSH/2.4", "TTSSH/2.5",
	"TTSSH/2.6", "TTSSH/2.70", "TTSSH/2.71", "TTSSH/2.72",
}

// understood reports whether a client with an identification (RFC 4253 section 4.2) can handle
// an announcement.
func understood(clientVersion string) bool {
	software := strings.TrimPrefix(clientVersion, "SSH-2.0-")
	return !slices.ContainsFunc(failAtAnnouncements, func(begin string) bool { return strings.HasPrefix(software, begin) })
}

// TurnTimeout is how long a request for proofs waits for its turn. A refused client asks again in its next connection.
const TurnTimeout = 2 * time.Second

// ErrRefused is returned for a request that is not answered, because of what it asks for or because no slot was free.
var ErrRefused = errors.New("proofs of host keys refused")

// Proofs answers the requests of one connection. They are not safe for concurrent use.
type Proofs struct {
	conn     ssh.Conn
	hostKeys func() *hostkeys.Set
	slots    handshake.Slots
	done     map[string]bool // keys that were proved, in SSH wire format
}

// New returns the proofs of a connection with a completed login, and needs the Conn of its ssh.ServerConn, which knows its
// algorithms. hostKeys returns the host keys of the configuration in use, which may be newer than the connection, nil for none;
// each request needs one of the slots.
func New(conn ssh.Conn, hostKeys func() *hostkeys.Set, slots handshake.Slots) *Proofs {
	return &Proofs{conn: conn, hostKeys: hostKeys, slots: slots}
}

// Announce announces the keys, unless the client is known to break on announcements. Call it once, right after the login: a
// second announcement ends OpenSSH's client.
func (p *Proofs) Announce() {
	if r := p.hostKeys(); r != nil && understood(string(p.conn.ClientVersion())) {
		_, _, _ = p.conn.SendRequest(announcement, false, r.Announcement()) // a broken connection is noticed later
	}
}

// Answer answers the payload of a Request, and returns the fingerprints of the keys that were proved. A client asks once, for
// the keys that it does not know. So each key is proved once per connection, which bounds what a client can make the daemon
// sign. Proofs share the slots of Diffie-Hellman exchanges, because an RSA signature takes some milliseconds and a request
// may need many.
func (p *Proofs) Answer(ctx context.Context, payload []byte) (answer []byte, proved []string, err error) {
	keys, ok := p.wanted(payload)
	if !ok {
		return nil, nil, ErrRefused
	}
	ctx, cancel := context.WithTimeout(ctx, TurnTimeout)
	defer cancel()
	if !p.slots.Take(ctx) {
		return nil, nil, ErrRefused
	}
	defer p.slots.Release()
	for _, k := range keys {
		sig, err := p.sign(k)
		if err != nil {
			return nil, nil, fmt.Errorf("host key %s does not sign: %w", k.Fingerprint, err)
		}
		answer = appendString(answer, ssh.Marshal(sig))
		proved = append(proved, k.Fingerprint)
	}
	return answer, proved, nil
}

// wanted returns the keys of a request, in its order. A proof needs all of them.
func (p *Proofs) wanted(payload []byte) ([]*hostkeys.Key, bool) {
	blobs, ok := parseRequest(payload)
	hostKeys := p.hostKeys()
	if !ok || hostKeys == nil {
		return nil, false
	}
	keys := make([]*hostkeys.Key, 0, len(blobs))
	for _, wire := range blobs {
		k, ok := hostKeys.Find(wire)
		if !ok || p.done[string(wire)] {
			return nil, false
		}
		keys = append(keys, k)
	}
	if p.done == nil {
		p.done = map[string]bool{}
	}
	for _, wire := range blobs {
		p.done[string(wire)] = true
	}
	return keys, true
}

// sign proves a key: over the request's name, the session ID and the public key. An RSA key
// signs as the server did in the key exchange if that was with RSA, since OpenSSH's client
// then expects the same algorithm, otherwise with the policy's first.
func (p *Proofs) sign(k *hostkeys.Key) (*ssh.Signature, error) {
	data := appendString(nil, []byte(Request))
	data = appendString(data, p.conn.SessionID())
	data = appendString(data, k.Signer.PublicKey().Marshal())
	algorithms := k.Signer.Algorithms()
	algorithm := algorithms[0]
	if c, ok := p.conn.(ssh.AlgorithmsConnMetadata); ok {
		negotiated := strings.TrimSuffix(c.Algorithms().HostKey, "-cert-v01@openssh.com")
		if slices.Contains(algorithms, negotiated) {
			algorithm = negotiated
		}
	}
	return k.Signer.SignWithAlgorithm(rand.Reader, data, algorithm)
}

func appendString(b, s []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// parseRequest parses the payload of a Request: public keys in SSH wire format, each as a
// string (RFC 4251 section 5). No key, a key twice, more keys than possible and trailing
// bytes are errors.
func parseRequest(payload []byte) ([][]byte, bool) {
	const prefix = 4
	var keys [][]byte
	for len(payload) > 0 {
		if len(payload) < prefix || len(keys) == config.MaxHostKeys {
			return nil, false
		}
		size := binary.BigEndian.Uint32(payload)
		payload = payload[prefix:]
		if uint64(size) > uint64(len(payload)) {
			return nil, false
		}
		key := payload[:size]
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			return nil, false
		}
		keys, payload = append(keys, key), payload[size:]
	}
	return keys, len(keys) > 0
}
