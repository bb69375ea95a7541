package server

import (
	"io"
	"reflect"
	"sync"
	"unsafe"

	"golang.org/x/crypto/ssh"
)

// This file is all that reaches for what golang.org/x/crypto/ssh does not export. Where that is
// not as it was, nothing is done, and the tests named fail.

// x/crypto reads packets ahead, up to 16, and gives up a login that fails with its reader
// waiting to hand over the next: forever, with two goroutines and all that they hold. Who
// sends enough requests at once, the first of them a bad one, would leave as much with each
// connection.
//
// So after a login that failed, what was read ahead is taken, until the reader finds the
// connection closed. x/crypto has no way to do that, so the channel is found by its name.
// Before it can be, a client may not send enough packets to fill it, see wire.

// maxAhead is what may come in before a client has asked for its first service, in bytes: the
// 16 packets, in the smallest size that x/crypto takes from ciphers and MACs that there are.
const maxAhead = 16 * (4 + 1 + 1 + 4 + 16)

// leftovers returns the channel of packets that were read and not yet processed, nil if
// x/crypto is not as it was; attack.TestPacketsAhead would notice.
func leftovers(peer ssh.ConnMetadata) <-chan []byte { return hidden[chan []byte](peer, "incoming") }

// exchangeRequests returns the channel by which x/crypto asks itself for a key exchange, nil if
// it is not as it was; TestRekeyByTime would notice. It is never closed.
func exchangeRequests(peer ssh.ConnMetadata) chan<- struct{} {
	return hidden[chan struct{}](peer, "requestKex")
}

// keyExchange is a key exchange that x/crypto may be in. While it is, x/crypto keeps 64 packets that are to be sent, and has the
// sender of the next wait. Its reader sends packets, too: the answer to the end of a channel, for one. When it has to wait, the
// client's SSH_MSG_KEXINIT is not read if more than 16 packets come before it, and the connection hangs. A client that is far away
// sends so many before it has heard of the exchange. So what this package sends and consumes waits for the end of the exchange
// before x/crypto's places are taken.
type keyExchange struct {
	mu     *sync.Mutex
	ended  *sync.Cond
	sent   *[]byte // this side's SSH_MSG_KEXINIT, until the exchange ends
	broken *error
}

// exchangeOf returns the exchanges of a connection, nil if x/crypto is not as it was; TestChannelEndsInKeyExchange would notice.
func exchangeOf(peer ssh.ConnMetadata) *keyExchange {
	transport := field(reflect.ValueOf(peer), "transport")
	e := &keyExchange{ended: hidden[*sync.Cond](peer, "writeCond")}
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

// wait returns when no exchange is under way, or the connection is broken.
func (e *keyExchange) wait() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(*e.sent) > 0 && *e.broken == nil {
		e.ended.Wait()
	}
}

// hidden is a field of the transport of a connection, the zero value if there is no such.
func hidden[T any](peer ssh.ConnMetadata, name string) T {
	at := address(field(field(reflect.ValueOf(peer), "transport"), name))
	if !at.IsValid() {
		var none T
		return none
	}
	v, _ := reflect.TypeAssert[T](at.Elem())
	return v
}

// address returns a pointer to a field, by which it can be used though it is not exported. It
// is not valid for a field that is not there.
func address(f reflect.Value) reflect.Value {
	if !f.IsValid() || !f.CanAddr() {
		return reflect.Value{}
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())) //nolint:gosec // see above
}

// receiver is the receiving side of a channel's flow control (RFC 4254 section 5.2). x/crypto
// credits the client with what [ssh.Channel.Read] has returned, so that the client never has
// more than 2 MiB on its way. What consumed is increased by is credited with the next Read, which
// makes the window larger; what is read from pending is not credited, which makes it smaller.
//
// A window above 2 MiB has x/crypto credit each Read, however little that returned: it
// subtracts the window from 2 MiB without a sign. Reads from pending, added to consumed, are
// credited together.
type receiver struct {
	pending io.Reader // data that was received and not read
	// mu protects the others.
	mu       *sync.Mutex
	window   *uint32 // bytes that the client may still send
	consumed *uint32 // bytes that were read, and that the client is not credited with yet
}

// receiverOf returns the receiving side of a channel, nil if x/crypto is not as it was, which
// TestReceiver and TestWindowGrows would notice. Windows stay at what x/crypto makes them then.
func receiverOf(ch ssh.Channel) *receiver {
	v := reflect.ValueOf(ch)
	r := &receiver{}
	buffer := address(field(v, "pending"))
	if buffer.IsValid() && buffer.Elem().Kind() == reflect.Pointer && !buffer.Elem().IsNil() {
		r.pending, _ = reflect.TypeAssert[io.Reader](buffer.Elem())
	}
	for name, p := range map[string]**uint32{"myWindow": &r.window, "myConsumed": &r.consumed} {
		if at := address(field(v, name)); at.IsValid() {
			*p, _ = reflect.TypeAssert[*uint32](at)
		}
	}
	if at := address(field(v, "windowMu")); at.IsValid() {
		r.mu, _ = reflect.TypeAssert[*sync.Mutex](at)
	}
	if r.pending == nil || r.mu == nil || r.window == nil || r.consumed == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *r.window > channelWindow || *r.consumed > channelWindow-*r.window {
		return nil // the constant has changed
	}
	return r
}

// credit has the client credited with n bytes by the next Read of the channel, and returns
// with how many in all.
func (r *receiver) credit(n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.consumed += uint32(n)
	return int64(*r.consumed)
}

// field is a field of what v points to, not valid if there is none.
func field(v reflect.Value, name string) reflect.Value {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.Elem().FieldByName(name)
}

// takeLeftovers waits for the end of the reader of a connection that is closed.
func (l *login) takeLeftovers() {
	if l.peer == nil {
		return
	}
	if packets := leftovers(l.peer); packets != nil {
		for range packets {
		}
	}
}
