package daemontest

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Numbers of messages (RFC 4250 section 4.1.2).
const (
	MsgDisconnect      = 1
	MsgServiceRequest  = 5
	MsgServiceAccept   = 6
	MsgKexInit         = 20
	MsgNewKeys         = 21
	MsgKexInitOfGroup  = 30 // SSH_MSG_KEXDH_INIT, and SSH_MSG_KEX_ECDH_INIT
	MsgKexReply        = 31
	MsgUserauthRequest = 50
	MsgUserauthFailure = 51
	MsgUserauthSuccess = 52
	MsgInfoRequest     = 60 // and SSH_MSG_USERAUTH_PK_OK
	MsgInfoResponse    = 61
)

// Peer is an SSH client that sends whatever a test wants, valid or not. It does not authenticate the server.
type Peer struct {
	net.Conn
	// Wait bounds each call.
	Wait time.Duration

	holding bool
	held    []byte

	r                               *bufio.Reader
	serverVersion, clientInit       []byte
	serverInit, session, exchange   []byte
	private                         *ecdh.PrivateKey
	send, receive                   cipher.AEAD
	sendNonce, receiveNonce, secret []byte
}

const peerVersion = "SSH-2.0-peer"

// NewPeer opens a connection from a local address; "" leaves it to the kernel. Nothing is
// sent. The connection ends without lingering, so that thousands of them leave no ports in
// TIME_WAIT.
func NewPeer(addr, from string) (*Peer, error) {
	c, err := DialFrom(addr, from)
	if err != nil {
		return nil, err
	}
	return &Peer{Conn: c, Wait: 30 * time.Second, r: bufio.NewReader(c)}, nil
}

// DialFrom opens a TCP connection from a local address that ends without lingering.
func DialFrom(addr, from string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	if from != "" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	}
	c, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, linger(c, 0)
}

// linger sets SO_LINGER, see socket(7).
func linger(c net.Conn, seconds int) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.New("not a TCP connection")
	}
	return tcp.SetLinger(seconds)
}

func (p *Peer) patience() error { return p.SetDeadline(time.Now().Add(p.Wait)) }

// Versions sends this side's version and reads the server's.
func (p *Peer) Versions() error {
	if err := p.patience(); err != nil {
		return err
	}
	if _, err := io.WriteString(p, peerVersion+"\r\n"); err != nil {
		return err
	}
	line, err := p.r.ReadBytes('\n')
	if err != nil {
		return err
	}
	p.serverVersion = line[:len(line)-2]
	return nil
}

// SendKexInit offers one key exchange, Ed25519 host keys and AES-128-GCM.
func (p *Peer) SendKexInit(exchange string) error {
	m := append([]byte{MsgKexInit}, make([]byte, 16)...)
	for _, list := range []string{
		exchange, "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
	} {
		m = AppendString(m, list)
	}
	m = append(m, 0, 0, 0, 0, 0)
	p.clientInit = m
	return p.WritePacket(m)
}

// Exchange does Versions, a key exchange on Curve25519 (RFC 8731) and the request for the service ssh-userauth.
func (p *Peer) Exchange() error {
	if err := p.Versions(); err != nil {
		return err
	}
	if err := p.ExchangeKeys(); err != nil {
		return err
	}
	if err := p.WritePacket(AppendString([]byte{MsgServiceRequest}, "ssh-userauth")); err != nil {
		return err
	}
	_, err := p.expect(MsgServiceAccept)
	return err
}

// ExchangeKeys does only the key exchange.
func (p *Peer) ExchangeKeys() error {
	if err := p.SendKexInit(exchangeMethod); err != nil {
		return err
	}
	if err := p.sendPublic(); err != nil {
		return err
	}
	var err error
	if p.serverInit, err = p.expect(MsgKexInit); err != nil {
		return err
	}
	reply, err := p.expect(MsgKexReply)
	if err != nil {
		return err
	}
	if err := p.agree(reply); err != nil {
		return err
	}
	if err := p.sendNewKeys(); err != nil {
		return err
	}
	if _, err := p.expect(MsgNewKeys); err != nil {
		return err
	}
	return p.receiveNewKeys()
}

// sendPublic sends this side's half of the exchange.
func (p *Peer) sendPublic() (err error) {
	if p.private, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return err
	}
	return p.WritePacket(AppendString([]byte{MsgKexInitOfGroup}, string(p.private.PublicKey().Bytes())))
}

// agree computes the secret, and the hash of the exchange, from the server's half.
func (p *Peer) agree(reply []byte) error {
	hostKey, rest := cutString(reply[1:])
	theirs, _ := cutString(rest)
	key, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return err
	}
	shared, err := p.private.ECDH(key)
	if err != nil {
		return err
	}
	p.secret = appendInteger(nil, shared)
	h := sha256.New()
	for _, s := range [][]byte{
		[]byte(peerVersion), p.serverVersion, p.clientInit, p.serverInit, hostKey, p.private.PublicKey().Bytes(), theirs,
	} {
		h.Write(AppendString(nil, string(s)))
	}
	h.Write(p.secret)
	p.exchange = h.Sum(nil)
	if p.session == nil {
		p.session = p.exchange
	}
	return nil
}

// sendNewKeys sends SSH_MSG_NEWKEYS, the last packet under the previous keys.
func (p *Peer) sendNewKeys() (err error) {
	if err = p.WritePacket([]byte{MsgNewKeys}); err != nil {
		return err
	}
	p.sendNonce = p.derive('A')[:12]
	p.send, err = gcm(p.derive('C')[:16])
	return err
}

// receiveNewKeys handles the server's SSH_MSG_NEWKEYS.
func (p *Peer) receiveNewKeys() (err error) {
	p.receiveNonce = p.derive('B')[:12]
	p.receive, err = gcm(p.derive('D')[:16])
	return err
}

// Session returns the session identifier (RFC 4253 section 7.2).
func (p *Peer) Session() []byte { return p.session }

// derive returns a key (RFC 4253 section 7.2). The session's identifier is the hash of its
// first exchange.
func (p *Peer) derive(letter byte) []byte {
	h := sha256.New()
	h.Write(p.secret)
	h.Write(p.exchange)
	h.Write([]byte{letter})
	h.Write(p.session)
	return h.Sum(nil)
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// increment increments the counter in a nonce (RFC 5647 section 7.1).
func increment(nonce []byte) {
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])+1)
}

// WritePacket sends a message, encrypted if keys have been exchanged.
func (p *Peer) WritePacket(message []byte) error {
	if err := p.patience(); err != nil {
		return err
	}
	block, beside := 8, 5 // without encryption the length counts for the padding
	if p.send != nil {
		block, beside = 16, 1
	}
	padding := block - (beside+len(message))%block
	if padding < 4 {
		padding += block
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(message)+padding))
	body := append([]byte{byte(padding)}, message...)
	body = append(body, make([]byte, padding)...)
	if p.send != nil {
		body = p.send.Seal(nil, p.sendNonce, body, packet)
		increment(p.sendNonce)
	}
	packet = append(packet, body...)
	if p.holding {
		p.held = append(p.held, packet...)
		return nil
	}
	_, err := p.Write(packet)
	return err
}

// Hold keeps what WritePacket sends until Release, which sends it at once.
func (p *Peer) Hold() { p.holding = true }

// Release ends Hold.
func (p *Peer) Release() error {
	_, err := p.Write(p.held)
	p.holding, p.held = false, nil
	return err
}

// ReadPacket returns the next message.
func (p *Peer) ReadPacket() ([]byte, error) {
	if err := p.patience(); err != nil {
		return nil, err
	}
	if p.receive == nil {
		return ReadPlain(p.r)
	}
	var length [4]byte
	if _, err := io.ReadFull(p.r, length[:]); err != nil {
		return nil, err
	}
	sealed := make([]byte, int(binary.BigEndian.Uint32(length[:]))+p.receive.Overhead())
	if _, err := io.ReadFull(p.r, sealed); err != nil {
		return nil, err
	}
	body, err := p.receive.Open(nil, p.receiveNonce, sealed, length[:])
	if err != nil {
		return nil, err
	}
	increment(p.receiveNonce)
	return body[1 : len(body)-int(body[0])], nil
}

func (p *Peer) expect(message byte) ([]byte, error) {
	m, err := p.ReadPacket()
	switch {
	case err != nil:
		return nil, err
	case m[0] != message:
		return nil, fmt.Errorf("message %d, want %d: %q", m[0], message, m)
	}
	return m, nil
}

// Ended waits for the end of the connection. What the server sends until then is discarded.
func (p *Peer) Ended(within time.Duration) error {
	if err := p.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, p.r)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // from the connection itself
		return fmt.Errorf("still open after %s", within)
	}
	return nil
}

// Userauth returns a request (RFC 4252 section 5) up to the method's own fields.
func Userauth(user, method string) []byte {
	m := AppendString([]byte{MsgUserauthRequest}, user)
	return AppendString(AppendString(m, "ssh-connection"), method)
}

// UserauthPassword returns a password request (RFC 4252 section 8).
func UserauthPassword(user, password string) []byte {
	return AppendString(append(Userauth(user, "password"), 0), password)
}

// AppendString appends a string of RFC 4251 section 5.
func AppendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// appendInteger appends a positive mpint of RFC 4251 section 5.
func appendInteger(b, n []byte) []byte {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) > 0 && n[0] >= 0x80 {
		n = append([]byte{0}, n...)
	}
	return AppendString(b, string(n))
}

func cutString(b []byte) (s, rest []byte) {
	n := 4 + binary.BigEndian.Uint32(b)
	return b[4:n], b[n:]
}

// CloseOrderly ends the connection in an orderly way, unlike one that is cut.
func (p *Peer) CloseOrderly() error {
	return errors.Join(linger(p.Conn, -1), p.Close())
}
