package compile

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

var keys sync.Map

// publicKey returns the n-th key of a fixed sequence, as a line without a comment.
func publicKey(n int) string {
	if line, ok := keys.Load(n); ok {
		return line.(string)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey(n))))
	keys.Store(n, line)
	return line
}

func sshKey(n int) ssh.PublicKey {
	sum := sha256.Sum256(fmt.Append(nil, n))
	k, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, sum[:]}))
	if err != nil {
		panic(err)
	}
	return k
}

func fingerprint(n int) string { return ssh.FingerprintSHA256(sshKey(n)) }
