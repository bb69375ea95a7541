package auth

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/sftp-operator/sftp-operator/sftpd/password"
)

// passwordMemoryKiB bounds what all password verifications hold together: three with the
// operator's parameters of 19 MiB. More would not be faster on a few CPUs, and this
// memory is what anybody can make the daemon use before a login.
const passwordMemoryKiB = 64 * 1024

// verifier verifies passwords, as many at a time as the memory bound allows. The rest
// wait in the order of their arrival.
type verifier struct {
	memory *semaphore.Weighted
	decoy  password.Hash
	match  func(password.Hash, []byte) bool // password.Hash.Verify, but in tests
}

func newVerifier() *verifier {
	return &verifier{
		memory: semaphore.NewWeighted(passwordMemoryKiB),
		decoy:  password.Decoy(),
		match:  password.Hash.Verify,
	}
}

// verify returns ctx's error if its turn does not come in time. A nil hash stands for
// no password: it matches nothing and takes as long.
func (v *verifier) verify(ctx context.Context, hash *password.Hash, given []byte) (bool, error) {
	real := hash != nil && len(given) <= password.MaxLength
	if !real {
		hash = &v.decoy
		given = given[:min(len(given), password.MaxLength)]
	}
	// A hash with larger parameters takes all there is; its own bound is in the
	// package password.
	cost := min(hash.MemoryKiB(), passwordMemoryKiB)
	if err := v.memory.Acquire(ctx, cost); err != nil {
		return false, err
	}
	defer v.memory.Release(cost)
	matches := v.match(*hash, given)
	return real && matches, nil
}
