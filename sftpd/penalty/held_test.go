package penalty_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

// TestHeld: the penalty for leaving without trying a credential grows with the time for which a place was held, from one second
// to ten.
func TestHeld(t *testing.T) {
	source := netip.MustParsePrefix("192.0.2.1/32")
	for held, times := range map[time.Duration]int{0: 30, 2 * time.Second: 30, 9 * time.Second: 10, 27 * time.Second: 4, time.Hour: 3} {
		now := time.Now()
		b := penalty.New(func() time.Time { return now })
		n := 0
		for ; n < 100 && !b.Refuses(source); n++ {
			b.AddHeld(source, held, 10*time.Minute)
		}
		if n != times {
			t.Errorf("held for %s: refused after %d times, want %d", held, n, times)
		}
	}
}
