package auth

import (
	"context"
	"errors"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

const (
	// claimTime is how long the volume with used codes may take: a person is waiting, and occupies a place for logins in
	// progress.
	claimTime = 3 * time.Second
	// maxClaims limits the claims that wait for a volume, each of which occupies a thread of the process.
	maxClaims = 16
)

var errClaimSlow = errors.New("no answer from the volume in " + claimTime.String())

// claims has a slot for each claim in progress. It is shared by the process, as threads are.
var claims = make(chan struct{}, maxClaims)

// claimInTime is claim with a limit of time: a network volume whose server is down may never respond. It also stops when the
// login's context has ended. The claim itself may still succeed later.
func claimInTime(ctx context.Context, volume, uid string, key totp.Key, step int64) (first bool, err error) {
	return inTime(ctx, claimTime, func() (bool, error) { return claim(volume, uid, key, step) })
}

func inTime(ctx context.Context, limit time.Duration, do func() (bool, error)) (first bool, err error) {
	type result struct {
		first bool
		err   error
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case claims <- struct{}{}:
	case <-late.C:
		return false, errClaimSlow
	case <-ctx.Done():
		return false, ctx.Err()
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-claims }()
		first, err := do()
		done <- result{first, err}
	}()
	select {
	case r := <-done:
		return r.first, r.err
	case <-late.C:
		return false, errClaimSlow
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
