package server

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
)

// also changes the servers that are made until the test ends, besides what was asked for before.
func also(t *testing.T, change func(*Server)) {
	t.Helper()
	before := adjust
	adjust = func(s *Server) {
		if before != nil {
			before(s)
		}
		change(s)
	}
	t.Cleanup(func() { adjust = before })
}

// Adjust changes the servers that are made until the test ends. Such a test cannot be
// parallel.
func Adjust(t *testing.T, stall, unused time.Duration, openFiles int) {
	t.Helper()
	also(t, func(s *Server) {
		s.watches.StallTimeout, s.unusedTimeout = stall, unused
		if openFiles > 0 {
			s.descriptors.Limit = openFiles
		}
	})
}

// AdjustUnread is Adjust of what all connections together may send ahead, in bytes.
func AdjustUnread(t *testing.T, ofAll int64) {
	t.Helper()
	also(t, func(s *Server) { s.totals.UnreadLimit = ofAll })
}

// AdjustPatience is Adjust of how long a client's algorithms are waited for.
func AdjustPatience(t *testing.T, d time.Duration) {
	t.Helper()
	also(t, func(s *Server) { s.handshake.Patience = d })
}

// AdjustModexps is Adjust of how many exchanges in a group go on at a time.
func AdjustModexps(t *testing.T, places int) {
	t.Helper()
	also(t, func(s *Server) { s.handshake.Slots = make(handshake.Slots, places) })
}

// AdjustRekeyTime is Adjust of how long keys are used.
func AdjustRekeyTime(t *testing.T, d time.Duration) {
	t.Helper()
	also(t, func(s *Server) { s.rekeyTime = d })
}

// AdjustRekeyBytes is Adjust of how much keys are used for.
func AdjustRekeyBytes(t *testing.T, n uint64) {
	t.Helper()
	also(t, func(s *Server) { s.rekeyBytes = n })
}

// AdjustRoundTrip is Adjust of the round trip that the kernel has measured.
func AdjustRoundTrip(t *testing.T, d time.Duration) {
	t.Helper()
	also(t, func(s *Server) { s.totals.RoundTrip = func() time.Duration { return d } })
}

// ReservedDescriptors is what users and connections do not get.
const ReservedDescriptors = reservedDescriptors
