package server

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
)

// These functions adjust a server, for daemontest.Start. A test that is not about a limit raises it out of the way.

// StallTimeout sets how long a client may leave requested data unread.
func StallTimeout(d time.Duration) func(*Server) {
	return func(s *Server) { s.watches.StallTimeout = d }
}

// UnusedTimeout sets how long a channel may stay without a subsystem.
func UnusedTimeout(d time.Duration) func(*Server) {
	return func(s *Server) { s.unusedTimeout = d }
}

// OpenFiles limits the open files of all users together.
func OpenFiles(n int) func(*Server) {
	return func(s *Server) { s.descriptors.Limit = n }
}

// Unread limits the bytes that all connections together may send ahead.
func Unread(ofAll int64) func(*Server) {
	return func(s *Server) { s.totals.UnreadLimit = ofAll }
}

// AlgorithmsTimeout sets how long the server waits for a client's algorithms.
func AlgorithmsTimeout(d time.Duration) func(*Server) {
	return func(s *Server) { s.handshake.AlgorithmsTimeout = d }
}

// Modexps limits the number of concurrent key exchanges in finite-field groups.
func Modexps(places int) func(*Server) {
	return func(s *Server) { s.handshake.Slots = make(handshake.Slots, places) }
}

// RekeyTime sets how long keys are used.
func RekeyTime(d time.Duration) func(*Server) { return func(s *Server) { s.rekeyTime = d } }

// RekeyBytes sets how many bytes keys are used for.
func RekeyBytes(n uint64) func(*Server) { return func(s *Server) { s.rekeyBytes = n } }

// RoundTrip replaces the kernel's measurement of the round-trip time.
func RoundTrip(measured func() time.Duration) func(*Server) {
	return func(s *Server) { s.totals.RoundTrip = measured }
}

// ReservedDescriptors sets how many descriptors are withheld from users and connections.
const ReservedDescriptors = reservedDescriptors
