package unexported

import (
	"reflect"
	"sync"

	"golang.org/x/crypto/ssh"
)

// KeyExchange is a key exchange that x/crypto may be in. During one, x/crypto queues 64 packets to be sent, and blocks the sender
// of the next. Its reader also sends packets, such as the answer to the end of a channel. When it has to wait, the client's
// SSH_MSG_KEXINIT is not read if more than 16 packets come before it, and the connection hangs. A distant client sends that many
// before it learns of the exchange. So what the daemon sends and consumes for files waits for the end of the exchange before
// x/crypto's queue is full.
type KeyExchange struct {
	mu     *sync.Mutex
	ended  *sync.Cond
	sent   *[]byte // this side's SSH_MSG_KEXINIT, until the exchange ends
	broken *error
}

// KeyExchangeOf returns the exchanges of a connection, nil if x/crypto has changed, which TestChannelEndsInKeyExchange would
// detect.
func KeyExchangeOf(peer ssh.ConnMetadata) *KeyExchange {
	transport := field(reflect.ValueOf(peer), "transport")
	e := &KeyExchange{ended: hidden[*sync.Cond](peer, "writeCond")}
	if at := address(field(transport, "mu")); at.IsValid() {
		e.mu, _ = reflect.TypeAssert[*sync.Mutex](at)
	}
	if at := address(field(transport, "sentInitPacket")); at.IsValid() {
		e.sent, _ = reflect.TypeAssert[*[]byte](at)
	}
	if at := address(field(transport, "writeError")); at.IsValid() {
		e.broken, _ = reflect.TypeAssert[*error](at)
	}
	if e.mu == nil || e.ended == nil || e.sent == nil || e.broken == nil {
		return nil
	}
	return e
}

// Wait returns when no exchange is in progress, or the connection is broken.
func (e *KeyExchange) Wait() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(*e.sent) > 0 && *e.broken == nil {
		e.ended.Wait()
	}
}
