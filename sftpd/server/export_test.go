package server

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
)

// Adjustments of a server, for daemontest.Start. A test in which a limit is not what is tested has one that is out of the way.

// StallTimeout is how long a client may take nothing of what it asked for.
func StallTimeout(d time.Duration) func(*Server) {
	return func(s *Server) { s.watches.StallTimeout = d }
}

// UnusedTimeout is how long a channel may be without a subsystem.
func UnusedTimeout(d time.Duration) func(*Server) {
	return func(s *Server) { s.unusedTimeout = d }
}

// OpenFiles are those of all users.
func OpenFiles(n int) func(*Server) {
	return func(s *Server) { s.descriptors.Limit = n }
}

// Unread is what all connections together may send ahead, in bytes.
func Unread(ofAll int64) func(*Server) {
	return func(s *Server) { s.totals.UnreadLimit = ofAll }
}

// Patience is how long a client's algorithms are waited for.
func Patience(d time.Duration) func(*Server) {
	return func(s *Server) { s.handshake.Patience = d }
}

// Modexps is how many exchanges in a group go on at a time.
func Modexps(places int) func(*Server) {
	return func(s *Server) { s.handshake.Slots = make(handshake.Slots, places) }
}

// RekeyTime is how long keys are used.
func RekeyTime(d time.Duration) func(*Server) { return func(s *Server) { s.rekeyTime = d } }

// RekeyBytes is how much keys are used for.
func RekeyBytes(n uint64) func(*Server) { return func(s *Server) { s.rekeyBytes = n } }

// RoundTrip is what the kernel has measured.
func RoundTrip(measured func() time.Duration) func(*Server) {
	return func(s *Server) { s.totals.RoundTrip = measured }
}

// ReservedDescriptors is what users and connections do not get.
const ReservedDescriptors = reservedDescriptors
