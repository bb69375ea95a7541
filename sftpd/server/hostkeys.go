package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/hostkeys"
)

// OpenSSH's global requests by which a client that is logged in learns the other host keys of
// its server, and forgets those that the server has no more (OpenSSH PROTOCOL section 2.5).
const (
	announceHostKeys = "hostkeys-00@openssh.com"
	proveHostKeys    = "hostkeys-prove-00@openssh.com"
)

// afraid are the beginnings of software versions of clients that fail at an announcement
// (OpenSSH's compat.c, SSH_BUG_HOSTKEYS).
var afraid = []string{
	"Cisco-1.", "TeraTerm SSH", "TTSSH/1.5.", "TTSSH/2.1", "TTSSH/2.2", "TTSSH/2.3", "TTSSH/2.4", "TTSSH/2.5",
	"TTSSH/2.6", "TTSSH/2.70", "TTSSH/2.71", "TTSSH/2.72",
}

// copes says whether a client of an identification (RFC 4253 section 4.2) can be told of
// host keys.
func copes(clientVersion string) bool {
	software := strings.TrimPrefix(clientVersion, "SSH-2.0-")
	return !slices.ContainsFunc(afraid, func(begin string) bool { return strings.HasPrefix(software, begin) })
}

// proofPatience is how long a request for proofs waits for its turn. A client that is refused
// asks again in its next connection.
const proofPatience = 2 * time.Second

// proofs tells a client of the host keys, and proves those that it asks for.
type proofs struct {
	*conn
	sc   *ssh.ServerConn
	done map[string]bool // keys that were proved, in SSH wire format
}

// ring are the host keys of the configuration in use, which may be newer than the connection.
func (p *proofs) ring() *hostkeys.Ring {
	if s := p.server.Current(); s != nil {
		return s.CryptoAt(time.Now()).HostKeys
	}
	return nil
}

// announce is for right after the login, and once: a second time ends OpenSSH's client.
func (p *proofs) announce() {
	if r := p.ring(); r != nil && copes(p.clientVersion) {
		_, _, _ = p.sc.SendRequest(announceHostKeys, false, r.Announcement()) // a broken connection is noticed later
	}
}

// answer answers a request for proofs. A client asks once, for the keys that it does not
// know. So each key is proved once in a connection, which bounds what a client can make the
// daemon sign; and as many connections at a time sign as may exchange keys in groups, for a
// signature of RSA takes some milliseconds, and there may be many in a request.
func (p *proofs) answer(ctx context.Context, payload []byte) ([]byte, bool) {
	keys, ok := p.wanted(payload)
	if !ok {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	if !p.server.handshake.Slots.Take(ctx) {
		return nil, false
	}
	defer p.server.handshake.Slots.Release()
	var signatures []byte
	for _, k := range keys {
		sig, err := p.sign(k)
		if err != nil {
			p.server.Log.Error("host key does not sign", "connection", p.id, "fingerprint", k.Fingerprint, "error", err)
			return nil, false
		}
		signatures = appendString(signatures, ssh.Marshal(sig))
	}
	for _, k := range keys {
		p.server.KeyUse.NoteProof(p.settings.grant.UID, k.Fingerprint)
	}
	return signatures, true
}

// wanted are the keys of a request, in its order. All have to be there to be proved.
func (p *proofs) wanted(payload []byte) ([]*hostkeys.Key, bool) {
	blobs, ok := parseProofRequest(payload)
	ring := p.ring()
	if !ok || ring == nil {
		return nil, false
	}
	keys := make([]*hostkeys.Key, 0, len(blobs))
	for _, wire := range blobs {
		k, ok := ring.Find(wire)
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
// wants the same then, and else with the policy's first.
func (p *proofs) sign(k *hostkeys.Key) (*ssh.Signature, error) {
	data := appendString(nil, []byte(proveHostKeys))
	data = appendString(data, p.sc.SessionID())
	data = appendString(data, k.Signer.PublicKey().Marshal())
	algorithms := k.Signer.Algorithms()
	algorithm := algorithms[0]
	if c, ok := p.sc.Conn.(ssh.AlgorithmsConnMetadata); ok {
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

// parseProofRequest parses the payload of proveHostKeys: public keys in SSH wire format, each
// as a string (RFC 4251 section 5). Not good are none, one twice, more than there can be, and
// bytes after the last.
func parseProofRequest(payload []byte) ([][]byte, bool) {
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
