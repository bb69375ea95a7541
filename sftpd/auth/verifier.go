package auth

import (
	"context"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// passwordMemoryKiB limits the memory of all password verifications together: three with the operator's parameters of 19 MiB,
// or one of the largest hash allowed. More would not be faster on a few CPUs, and any unauthenticated client can make the
// daemon use this memory.
const passwordMemoryKiB = password.MaxMemoryKiB

// verifier verifies passwords, as many at a time as the memory limit allows. The others wait: within a namespace in order of
// arrival, while namespaces take turns.
type verifier struct {
	memory *shares
	match  func(password.Hash, []byte) bool // password.Hash.Verify, except in tests
}

func newVerifier() *verifier {
	return &verifier{
		// One namespace leaves room for a hash of another's, however long its own take.
		memory: newShares(passwordMemoryKiB, passwordMemoryKiB-password.Decoy().MemoryKiB()),
		match:  password.Hash.Verify,
	}
}

// verify returns ctx's error if its turn does not come in time. A decoy takes as long as a hash, and matches nothing. shared
// means that there are other namespaces.
func (v *verifier) verify(ctx context.Context, namespace string, shared bool, hash password.Hash, given []byte) (bool, error) {
	whole := len(given) <= hash.MaxLength()
	given = given[:min(len(given), hash.MaxLength())]
	cost := hash.MemoryKiB()
	if err := v.memory.acquire(ctx, namespace, shared, cost); err != nil {
		return false, err
	}
	defer v.memory.release(namespace, cost)
	matches := v.match(hash, given)
	return whole && matches, nil
}
