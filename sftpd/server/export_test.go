package server

import (
	"testing"
	"time"
)

// Adjust changes the servers that are made until the test ends. Such a test cannot be
// parallel.
func Adjust(t *testing.T, stall, unused time.Duration, openFiles int) {
	t.Helper()
	adjust = func(s *Server) {
		s.stallTimeout, s.unusedTimeout = stall, unused
		if openFiles > 0 {
			s.descriptors.limit = openFiles
		}
	}
	t.Cleanup(func() { adjust = nil })
}

// AdjustUnread is Adjust of what all connections together may send ahead, in bytes.
func AdjustUnread(t *testing.T, ofAll int64) {
	t.Helper()
	adjust = func(s *Server) { s.unreadOfAll = ofAll }
	t.Cleanup(func() { adjust = nil })
}

// AdjustPatience is Adjust of how long a client's algorithms are waited for.
func AdjustPatience(t *testing.T, d time.Duration) {
	t.Helper()
	adjust = func(s *Server) { s.helloPatience = d }
	t.Cleanup(func() { adjust = nil })
}

// AdjustModexps is Adjust of how many exchanges in a group go on at a time.
func AdjustModexps(t *testing.T, places int) {
	t.Helper()
	adjust = func(s *Server) { s.modexps = make(chan struct{}, places) }
	t.Cleanup(func() { adjust = nil })
}

// AdjustRekeyTime is Adjust of how long keys are used.
func AdjustRekeyTime(t *testing.T, d time.Duration) {
	t.Helper()
	adjust = func(s *Server) { s.rekeyTime = d }
	t.Cleanup(func() { adjust = nil })
}

// AdjustRoundTrip is Adjust of the round trip that the kernel has measured.
func AdjustRoundTrip(t *testing.T, d time.Duration) {
	t.Helper()
	adjust = func(s *Server) { s.windows.roundTrip = func() time.Duration { return d } }
	t.Cleanup(func() { adjust = nil })
}

// ReservedDescriptors is what users and connections do not get.
const ReservedDescriptors = reservedDescriptors
