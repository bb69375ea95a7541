package flow

import "github.com/sftp-operator/sftp-operator/sftpd/unexported"

// x/crypto/ssh keeps what a channel has received until it is read, with a list element for each packet: a window of 2 MiB filled
// byte by byte is 96 MB of memory. It does not expose how much it holds. But a packet of one byte is at least 36 bytes on the
// wire, so the bytes received on the wire and not yet read from a channel bound that memory.
const (
	// channelWindow is the window of x/crypto, in bytes.
	channelWindow = unexported.ChannelWindow
	// unreadBase and unreadPerChannel are how many bytes on the wire a connection may have
	// sent ahead of the server: twice the window of each channel, and room for the overhead
	// of packets of another channel while one is busy for a long time.
	unreadBase       = 8 << 20
	unreadPerChannel = 2 * channelWindow
	// unreadOfAll is how many bytes on the wire all connections of the server together may
	// have sent ahead before those with the most are closed.
	unreadOfAll = 128 << 20
)

// ledger bounds the bytes of a connection that have not been read yet.
type ledger struct {
	received int64 // from the wire
	consumed int64 // of the payload of all channels
	accounts map[*account]struct{}
}

// account is a channel's part of a ledger.
type account struct {
	own int64 // bytes consumed of this channel
	// promised is the number of bytes by which the client's window exceeds channelWindow, and covered is how many of them are
	// within the budget. Credit for the difference is withheld from the client.
	promised, covered int64
	// waiting is true while the server waits for data, so the channel holds none.
	waiting bool
	// base is a moment for which everything that the channel received earlier has been
	// consumed. next becomes the base after another window.
	base, next moment
}

// moment is a snapshot of a ledger and of one account in it. window is how much the channel
// may hold at that time.
type moment struct{ received, consumed, own, window int64 }

func (l *ledger) open() *account {
	a := &account{}
	a.base = l.moment(a)
	a.next = a.base
	if l.accounts == nil {
		l.accounts = map[*account]struct{}{}
	}
	l.accounts[a] = struct{}{}
	return a
}

func (l *ledger) close(a *account) { delete(l.accounts, a) }

func (l *ledger) moment(a *account) moment {
	return moment{received: l.received, consumed: l.consumed, own: a.own, window: channelWindow + a.promised}
}

// consume records that n bytes were read from a channel. If that is less than requested, nothing is left. Otherwise the
// channel holds at most a window, in order: once a window has been read since a moment, everything received before it is
// gone.
func (l *ledger) consume(a *account, n int, drained bool) {
	l.consumed += int64(n)
	a.own += int64(n)
	switch {
	case drained:
		a.base = l.moment(a)
		a.next = a.base
	case a.own-a.next.own >= a.next.window:
		a.base, a.next = a.next, l.moment(a)
	}
}

// unread returns how many bytes on the wire are still held for the channel with the most.
// It may be too low by up to a window for each channel: what was held at the base and
// consumed since.
func (l *ledger) unread() int64 {
	var most int64
	for a := range l.accounts {
		if !a.waiting {
			most = max(most, l.received-a.base.received-(l.consumed-a.base.consumed))
		}
	}
	return most
}

// overrun reports whether unread is more than any client sending data needs or, when all
// connections together hold a lot, more than what is left for the others. What one channel
// needs is never too much: clients fill a window when the volume is slow. For larger windows
// this holds while they are covered.
func (l *ledger) overrun(unread, leftOfAll int64) bool {
	alone, least := unreadBase+int64(len(l.accounts))*unreadPerChannel, int64(unreadPerChannel)
	for a := range l.accounts {
		alone += a.promised
		least += a.covered
	}
	return unread > min(alone, max(least, leftOfAll))
}
