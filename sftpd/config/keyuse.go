package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// KeyUsePath is the HTTP path under which a daemon shows a KeyUseReport. It tells who logs
// in when, so it asks for the token of StatusToken, as a bearer token (RFC 6750 section 2.1).
const KeyUsePath = "/keyuse"

// Query parameters of KeyUsePath: Instance and Sequence of the report that the caller has,
// for what came after it.
const (
	KeyUseInstance = "instance"
	KeyUseSequence = "after"
)

// KeyUseReport says on which days users' keys were last used, and who has seen a proof of
// which host key.
type KeyUseReport struct {
	// Instance is of the daemon's process: what it knows ends with it.
	Instance string `json:"instance"`
	// Sequence is the number of the last change in it.
	Sequence uint64 `json:"sequence"`
	// Uses in no order.
	Uses []KeyUse `json:"uses"`
	// HostKeyProofs in no order, of host keys in the configuration and of users in it.
	HostKeyProofs []HostKeyProof `json:"hostKeyProofs,omitempty"`
}

// KeyUse is the last use of a user's key.
type KeyUse struct {
	// UID of the SFTPUser.
	UID string `json:"uid"`
	// Fingerprint of the key, SHA-256, as OpenSSH prints it.
	Fingerprint string `json:"fingerprint"`
	// Day in UTC, as 2006-01-02.
	Day string `json:"day"`
}

// HostKeyProof says that a client of a user asked for a proof of a host key, and got it. A
// client does so for a key that it does not know yet, and then knows it
// (hostkeys-prove-00@openssh.com in OpenSSH's PROTOCOL). It is said once for each user and key.
type HostKeyProof struct {
	// UID of the SFTPUser.
	UID string `json:"uid"`
	// Fingerprint of the host key, SHA-256, as OpenSSH prints it.
	Fingerprint string `json:"fingerprint"`
}

// StatusToken is the token for KeyUsePath. It is made from the first private host key of the
// list, whatever its state, which is in the configuration's Secret: whoever may read that, the
// operator above all, has the token, and nobody else. It tells nothing of the key. A list with
// another first key has another token, so who asks has to know what the daemon has loaded.
func StatusToken(hostKeys [][]byte) string {
	if len(hostKeys) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, hostKeys[0])
	_, _ = mac.Write([]byte("sftp-operator.io status token v1")) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// TokensEqual compares two tokens in a time that tells nothing of them but their lengths.
// There is no empty token.
func TokensEqual(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}
