package flow

import (
	"net"
	"testing"
)

// nowhere is a connection that takes everything.
type nowhere struct{ net.Conn }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkSmallAnswer measures what an answer costs besides x/crypto and the system call.
func BenchmarkSmallAnswer(b *testing.B) {
	c := NewTotals().Conn(nowhere{}, Hooks{Touch: func() {}})
	s := c.Open(b.Context(), wired{to: c}, never)
	answer := make([]byte, 40)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Write(answer); err != nil {
			b.Fatal(err)
		}
	}
}
