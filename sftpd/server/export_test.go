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
