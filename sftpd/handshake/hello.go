package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// maxVersionLine and maxKexInit bound what is parsed, in bytes: the longest version
	// line with its line end (RFC 4253 section 4.2), and the longest packet that every
	// implementation must accept (section 6.1).
	maxVersionLine = 255
	maxKexInit     = 35000
)

// errHello means that the input is not a version line and an SSH_MSG_KEXINIT; x/crypto handles it.
var errHello = errors.New("no version line and key exchange to look at")

// softwareVersion is how the daemon identifies itself by default. It does not contain "OpenSSH", from which clients infer
// behavior, nor a release number, which would tell attackers what to try.
const softwareVersion = "sftpd"

// Identification returns the identification (RFC 4253 section 4.2) with a software version, "" for
// the daemon's own.
func Identification(software string) string {
	if software == "" {
		software = softwareVersion
	}
	return "SSH-2.0-" + software
}

// KexInit is an SSH_MSG_KEXINIT (RFC 4253 section 7.1).
type KexInit struct {
	Cookie                             [16]byte `sshtype:"20"`
	KeyExchanges                       []string
	HostKeys                           []string
	CiphersClientServer                []string
	CiphersServerClient                []string
	MACsClientServer, MACsServerClient []string
	CompressionUp, CompressionDown     []string
	LanguagesUp, LanguagesDown         []string
	FirstKeyExchangeFollows            bool
	Reserved                           uint32
}

// Hello sends the daemon's version line and reads what a client sends before any
// cryptography: its version line and its SSH_MSG_KEXINIT, both in clear text. What was read
// is kept for x/crypto, which makes the actual decision. It returns nil if the client does
// not send that in time.
//
// x/crypto needs the server's algorithms before it has the client's. Knowing the client's, the daemon can leave out ciphers that
// cost it more than another one that both support.
func (h *Handshake) Hello() *KexInit {
	w := h.wire
	w.greeting = []byte(h.version + "\r\n")
	if _, err := w.Conn.Write(w.greeting); err != nil {
		w.greeting = nil // x/crypto gets the same error
		return nil
	}
	if soon := time.Now().Add(h.limits.AlgorithmsTimeout); soon.Before(h.deadline) {
		_ = w.SetReadDeadline(soon) // fails with the connection
		defer func() { _ = w.SetReadDeadline(h.deadline) }()
	}
	var said bytes.Buffer
	k, err := readHello(io.TeeReader(countingReader{w}, &said))
	w.replay = said.Bytes()
	if !errors.Is(err, errHello) && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.failed(err)
	}
	return k
}

// countingReader reads the connection itself.
type countingReader struct{ w *wire }

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.w.Conn.Read(p)
	c.w.handshake.received.Add(int64(n))
	return n, err
}

// readHello reads a version line and an SSH_MSG_KEXINIT, and not a byte more.
func readHello(r io.Reader) (*KexInit, error) {
	const prefix = "SSH-"
	for n, next := 0, [1]byte{}; next[0] != '\n'; n++ {
		if n == maxVersionLine {
			return nil, errHello
		}
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return nil, err
		}
		if n < len(prefix) && next[0] != prefix[n] {
			return nil, errHello
		}
	}
	// RFC 4253 section 6: the packet's length without itself, that of the padding, the
	// payload, the padding.
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length, padding := binary.BigEndian.Uint32(head[:]), uint32(head[4])
	if length > maxKexInit || length <= padding {
		return nil, errHello
	}
	var body bytes.Buffer // grows with what arrives
	if _, err := io.CopyN(&body, r, int64(length-1)); err != nil {
		return nil, err
	}
	var k KexInit
	if err := ssh.Unmarshal(body.Bytes()[:length-1-padding], &k); err != nil {
		return nil, errHello
	}
	return &k, nil
}
