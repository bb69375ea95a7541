package unexported

import (
	"io"
	"reflect"
	"sync"

	"golang.org/x/crypto/ssh"
)

// ChannelWindow is the window of x/crypto's channels, in bytes.
const ChannelWindow = 2 << 20

// Receiver is the receiving side of a channel's flow control (RFC 4254 section 5.2). x/crypto
// credits the client with what [ssh.Channel.Read] has returned, so that the client never has more
// than 2 MiB in flight. Adding to consumed is credited with the next Read, which enlarges the
// window; what is read from Pending is not credited, which shrinks it.
//
// With a window above 2 MiB, x/crypto credits each Read, however little it returned: it
// subtracts the window from 2 MiB as unsigned. Reads from Pending, added to consumed, are
// credited together.
type Receiver struct {
	// Pending is data that was received and not read.
	Pending io.Reader
	// mu protects the others.
	mu       *sync.Mutex
	window   *uint32 // bytes that the client may still send
	consumed *uint32 // bytes read and not yet credited to the client
}

// ReceiverOf returns the receiving side of a channel, nil if x/crypto has changed, which
// TestReceiver and TestWindowGrows would detect. Windows then stay at x/crypto's size.
func ReceiverOf(ch ssh.Channel) *Receiver {
	v := reflect.ValueOf(ch)
	r := &Receiver{}
	buffer := address(field(v, "pending"))
	if buffer.IsValid() && buffer.Elem().Kind() == reflect.Pointer && !buffer.Elem().IsNil() {
		r.Pending, _ = reflect.TypeAssert[io.Reader](buffer.Elem())
	}
	for name, p := range map[string]**uint32{"myWindow": &r.window, "myConsumed": &r.consumed} {
		if at := address(field(v, name)); at.IsValid() {
			*p, _ = reflect.TypeAssert[*uint32](at)
		}
	}
	if at := address(field(v, "windowMu")); at.IsValid() {
		r.mu, _ = reflect.TypeAssert[*sync.Mutex](at)
	}
	if r.Pending == nil || r.mu == nil || r.window == nil || r.consumed == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *r.window > ChannelWindow || *r.consumed > ChannelWindow-*r.window {
		return nil // the constant has changed
	}
	return r
}

// Credit makes the next Read of the channel credit the client with n more bytes, and
// returns the total.
func (r *Receiver) Credit(n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.consumed += uint32(n)
	return int64(*r.consumed)
}

// TakeBack takes back up to n bytes not yet credited to the client, and returns how many.
func (r *Receiver) TakeBack(n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, int64(*r.consumed))
	*r.consumed -= uint32(n)
	return n
}
