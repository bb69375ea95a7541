package server

import (
	"reflect"
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

// hidden is a field of the transport of a connection, the zero value if there is no such.
func hidden[T any](peer ssh.ConnMetadata, name string) T {
	f := field(field(reflect.ValueOf(peer), "transport"), name)
	if !f.IsValid() || !f.CanAddr() {
		var none T
		return none
	}
	at := unsafe.Pointer(f.UnsafeAddr()) //nolint:gosec // to read a field that is not exported
	v, _ := reflect.TypeAssert[T](reflect.NewAt(f.Type(), at).Elem())
	return v
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
