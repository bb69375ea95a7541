package auth

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// passwordMemoryKiB bounds what all password verifications hold together: three with the
// operator's parameters of 19 MiB, or one of the largest hash that is admitted. More would
// not be faster on a few CPUs, and this memory is what anybody can make the daemon use
// before a login.
const passwordMemoryKiB = password.MaxMemoryKiB

// verifier verifies passwords, as many at a time as the memory bound allows. The rest
// wait in the order of their arrival.
type verifier struct {
	memory *semaphore.Weighted
	match  func(password.Hash, []byte) bool // password.Hash.Verify, but in tests
}

func newVerifier() *verifier {
	return &verifier{
		memory: semaphore.NewWeighted(passwordMemoryKiB),
		match:  password.Hash.Verify,
	}
}

// verify returns ctx's error if its turn does not come in time. A decoy takes as long as
// a hash, and matches nothing.
func (v *verifier) verify(ctx context.Context, hash password.Hash, given []byte) (bool, error) {
	whole := len(given) <= hash.MaxLength()
	given = given[:min(len(given), hash.MaxLength())]
	cost := hash.MemoryKiB()
	if err := v.memory.Acquire(ctx, cost); err != nil {
		return false, err
	}
	defer v.memory.Release(cost)
	matches := v.match(hash, given)
	return whole && matches, nil
}
