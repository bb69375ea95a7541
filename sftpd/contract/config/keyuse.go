package config

// KeyUsePath is the HTTP path under which a daemon shows a KeyUseReport. It tells who logs
// in when, so a request must have a KeyUseProof, and the answer is sealed with SealKeyUse.
const KeyUsePath = "/keyuse"

// Query parameters of KeyUsePath: the fields of a KeyUseQuestion.
const (
	KeyUseInstance = "instance"
	KeyUseSequence = "after"
	KeyUseLimit    = "limit"
)

// MaxKeyUses is the most entries that a daemon puts into one KeyUseReport.
const MaxKeyUses = 2048

// KeyUseReport says on which days users' keys were last used, and who has seen a proof of
// which host key.
type KeyUseReport struct {
	// Instance is of the daemon's process: what it knows ends with it.
	Instance string `json:"instance"`
	// Sequence is the number of the last change in the report.
	Sequence uint64 `json:"sequence"`
	// More reports whether there are later changes, for which the report had no room.
	More bool `json:"more,omitempty"`
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
