package daemontest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// Strict is an SSH client that is as strict in key exchanges as OpenSSH 10.4 and newer, which disconnect from a server that
// sends anything else after its SSH_MSG_KEXINIT and before its SSH_MSG_NEWKEYS (RFC 4253 section 7.1), and that sends
// nothing else there itself. It has the transport only: x/crypto handles channels and requests above it, as with an OpenSSH
// ControlMaster.
type Strict struct {
	// Client is x/crypto's client.
	Client *ssh.Client
	// OnKexInit, if set, is called when the server starts a key exchange, before this side has answered: it may send, as a
	// distant client keeps sending for a round trip.
	OnKexInit func()
	// ByServer and ByClient count key exchanges, after the first, by the side that started them.
	ByServer, ByClient atomic.Int64

	peer *Peer
	mux  net.Conn

	mu         sync.Mutex
	changed    *sync.Cond
	exchanging bool // from this side's SSH_MSG_KEXINIT to its SSH_MSG_NEWKEYS
	mine       bool // this side started it
	err        error

	received chan []byte // to the mux
}

// DialStrict logs in with a password.
func DialStrict(addr, user, password string) (*Strict, error) {
	p, err := NewPeer(addr, "")
	if err != nil {
		return nil, err
	}
	s := &Strict{peer: p, received: make(chan []byte, 1<<16)} // more than all windows let the server send
	s.changed = sync.NewCond(&s.mu)
	if err := s.logIn(user, password); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	ours, theirs := net.Pipe()
	s.mux = ours
	go s.receive()
	go s.deliver()
	go s.send()
	conn, channels, requests, err := ssh.NewControlClientConn(theirs)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	s.Client = ssh.NewClient(conn, channels, requests)
	return s, nil
}

func (s *Strict) logIn(user, password string) error {
	if err := s.peer.Exchange(); err != nil {
		return err
	}
	if err := s.peer.WritePacket(UserauthPassword(user, password)); err != nil {
		return err
	}
	_, err := s.peer.expect(MsgUserauthSuccess)
	return err
}

// Close ends the connection.
func (s *Strict) Close() error {
	s.fail(net.ErrClosed)
	return s.Client.Close()
}

// Err returns why the connection ended, nil while it has not.
func (s *Strict) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Strict) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	_ = s.peer.Close()
	_ = s.mux.Close()
}

// Send sends a message, after the key exchange if there is one.
func (s *Strict) Send(message []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.exchanging && s.err == nil {
		s.changed.Wait()
	}
	if s.err != nil {
		return s.err
	}
	return s.peer.WritePacket(message)
}

// Rekey starts a key exchange and does not wait for it.
func (s *Strict) Rekey() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exchanging || s.err != nil {
		return s.err
	}
	s.exchanging, s.mine = true, true
	return s.peer.SendKexInit(exchangeMethod)
}

// receive reads what the server sends.
func (s *Strict) receive() {
	defer close(s.received)
	for {
		m, err := s.peer.ReadPacket()
		if err == nil {
			switch m[0] {
			case msgIgnore, msgUnimplemented, msgDebug:
				continue
			case MsgDisconnect:
				err = fmt.Errorf("the server disconnected: %q", m)
			case MsgKexInit:
				if err = s.exchangeKeys(m); err == nil {
					continue
				}
			}
		}
		if err != nil {
			s.fail(err)
			return
		}
		s.received <- m
	}
}

const (
	exchangeMethod    = "curve25519-sha256"
	msgIgnore         = 2
	msgUnimplemented  = 3
	msgDebug          = 4
	muxHello, muxLast = 0x00000001, 0x8000000f
)

// exchangeKeys answers the server's SSH_MSG_KEXINIT. Until its SSH_MSG_NEWKEYS nothing else may come.
func (s *Strict) exchangeKeys(theirs []byte) error {
	if err := s.answer(theirs); err != nil {
		return err
	}
	if err := s.peer.sendPublic(); err != nil {
		return err
	}
	reply, err := s.only(MsgKexReply)
	if err != nil {
		return err
	}
	if err := s.peer.agree(reply); err != nil {
		return err
	}
	s.mu.Lock()
	err = s.peer.sendNewKeys()
	s.exchanging, s.mine = false, false
	s.changed.Broadcast()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := s.only(MsgNewKeys); err != nil {
		return err
	}
	return s.peer.receiveNewKeys()
}

// answer sends this side's SSH_MSG_KEXINIT, unless it has been sent.
func (s *Strict) answer(theirs []byte) error {
	s.mu.Lock()
	mine := s.mine
	s.mu.Unlock()
	if !mine && s.OnKexInit != nil {
		s.OnKexInit()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer.serverInit = theirs
	if s.exchanging {
		s.ByClient.Add(1)
		return nil
	}
	s.ByServer.Add(1)
	s.exchanging = true
	return s.peer.SendKexInit(exchangeMethod)
}

// only returns the next message of a key exchange, which must be this one.
func (s *Strict) only(want byte) ([]byte, error) {
	for {
		m, err := s.peer.ReadPacket()
		switch {
		case err != nil:
			return nil, err
		case m[0] == want:
			return m, nil
		case m[0] != msgIgnore && m[0] != msgUnimplemented && m[0] != msgDebug:
			return nil, fmt.Errorf("the server sent message %d in a key exchange, after SSH_MSG_KEXINIT and before message %d", m[0], want)
		}
	}
}

// deliver passes what was received to the mux (PROTOCOL.mux of OpenSSH, proxy mode).
func (s *Strict) deliver() {
	for _, hello := range [][]byte{
		binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, muxHello), 4), // the version
		binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, muxLast), 0),  // the request
	} {
		if _, err := s.mux.Write(AppendString(nil, string(hello))); err != nil {
			s.fail(err)
			return
		}
	}
	for m := range s.received {
		if _, err := s.mux.Write(AppendString(nil, "\x00"+string(m))); err != nil {
			s.fail(err)
			return
		}
	}
}

// send sends what the mux sends, except for its two messages to the ControlMaster.
func (s *Strict) send() {
	for n := 0; ; n++ {
		var length [4]byte
		if _, err := io.ReadFull(s.mux, length[:]); err != nil {
			s.fail(err)
			return
		}
		m := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(s.mux, m); err != nil {
			s.fail(err)
			return
		}
		if n < 2 {
			continue
		}
		if err := s.Send(m[1:]); err != nil {
			s.fail(err)
			return
		}
	}
}
