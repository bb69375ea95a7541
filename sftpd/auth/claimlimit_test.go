package auth

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestClaimInTime: a volume that never answers delays a login no longer than the limit, and blocks a bounded number of
// goroutines, each with a thread.
func TestClaimInTime(t *testing.T) {
	hang := make(chan struct{})
	running := make(chan struct{}, 2*maxClaims)
	for range maxClaims + 3 {
		begin := time.Now()
		first, err := inTime(t.Context(), 10*time.Millisecond, func() (bool, error) { running <- struct{}{}; <-hang; return true, nil })
		if first || !errors.Is(err, errClaimSlow) || time.Since(begin) > 5*time.Second {
			t.Fatalf("%v after %s", err, time.Since(begin))
		}
	}
	if n := len(running); n != 16 {
		t.Errorf("%d claims wait", n)
	}
	close(hang)
	if first, err := inTime(t.Context(), 10*time.Second, func() (bool, error) { return true, nil }); !first || err != nil {
		t.Errorf("when the volume answers again: %v, %v", first, err)
	}
}

// TestClaimEndsWithItsLogin: a login stops waiting for the volume when its connection ends, whether its claim is running or
// still queued.
func TestClaimEndsWithItsLogin(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for range maxClaims + 1 {
		ctx, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, end)
		if first, err := inTime(ctx, time.Hour, func() (bool, error) { <-hang; return true, nil }); first || !errors.Is(err, context.Canceled) {
			t.Fatal(first, err)
		}
	}
}
