package flow

import (
	"sync/atomic"
	"time"
)

// Totals holds what all connections of a server share.
type Totals struct {
	// UnreadLimit is how many bytes on the wire all connections together may have sent ahead before those with the most are
	// closed. It may be changed before there is a connection.
	UnreadLimit int64
	// RoundTrip replaces the kernel's measurement in tests. Nil uses the kernel's.
	RoundTrip func() time.Duration

	unread   atomic.Int64
	received atomic.Uint64
	sent     atomic.Uint64
	windows  *budget
}

// NewTotals returns the totals of a server without connections.
func NewTotals() *Totals { return &Totals{UnreadLimit: unreadOfAll, windows: newBudget()} }

// Received returns how many bytes have come in on all connections so far.
func (t *Totals) Received() uint64 { return t.received.Load() }

// Moved returns how many bytes have come in or gone out on all connections so far.
func (t *Totals) Moved() uint64 { return t.received.Load() + t.sent.Load() }
