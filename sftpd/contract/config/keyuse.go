package config

import "time"

// KeyUsePath is the HTTP path under which a daemon serves a KeyUseReport. It reveals who logs in when, so a request must have a
// KeyUseProof, and the answer is sealed with SealKeyUse.
const KeyUsePath = "/keyuse"

// Query parameters of KeyUsePath: the fields of a KeyUseQuestion.
const (
	KeyUseInstance = "instance"
	KeyUseSequence = "after"
	KeyUseLimit    = "limit"
)

// MaxKeyUses is the most entries that a daemon puts into one KeyUseReport.
const MaxKeyUses = 2048

// KeyUseReport contains the days on which users' keys were last used, which users' clients have seen a proof of which host key,
// and which users' logins were refused.
type KeyUseReport struct {
	// Instance identifies the daemon's process, whose records are lost when it ends.
	Instance string `json:"instance"`
	// Sequence is the number of the last change in the report.
	Sequence uint64 `json:"sequence"`
	// More reports whether there are later changes that did not fit into the report.
	More bool `json:"more,omitempty"`
	// Uses in no order.
	Uses []KeyUse `json:"uses"`
	// HostKeyProofs in no order, of host keys in the configuration and of users in it.
	HostKeyProofs []HostKeyProof `json:"hostKeyProofs,omitempty"`
	// Refusals in no order, at most one of each user.
	Refusals []LoginRefusals `json:"refusals,omitempty"`
}

// LoginRefusals are the refused logins of a user. A day without a refusal ends the count.
type LoginRefusals struct {
	// UID of the SFTPUser.
	UID string `json:"uid"`
	// Since is when the first counted login was refused, and Last is when the last one was. Both are in whole seconds.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Count by this process, starting at 1.
	Count uint64 `json:"count"`
	// Reason of the last one, as in the audit log.
	Reason string `json:"reason"`
	// Source is the client's IP address, without a port, "" if it is unknown.
	Source string `json:"source,omitempty"`
	// Fingerprint of the last key that was offered, SHA-256, as OpenSSH prints it; "" for none.
	Fingerprint string `json:"fingerprint,omitempty"`
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

// HostKeyProof records that a user's client asked for a proof of a host key, and got it. A client does so for a key that it
// does not know yet, and knows it afterwards (hostkeys-prove-00@openssh.com in OpenSSH's PROTOCOL). It is reported once for
// each user and key.
type HostKeyProof struct {
	// UID of the SFTPUser.
	UID string `json:"uid"`
	// Fingerprint of the host key, SHA-256, as OpenSSH prints it.
	Fingerprint string `json:"fingerprint"`
}
