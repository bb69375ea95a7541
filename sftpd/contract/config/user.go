package config

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// Values of Authentication.Methods. MethodPassword covers the SSH methods password
// and keyboard-interactive.
const (
	MethodPublicKey = string(factor.PublicKey)
	MethodPassword  = string(factor.Password)
)

// Values of Mount.Access.
const (
	ReadWrite = "ReadWrite"
	ReadOnly  = "ReadOnly"
	WriteOnly = "WriteOnly"
	// CreateOnly is like WriteOnly, but existing content cannot be changed.
	CreateOnly = "CreateOnly"
)

// User is one line of a shard: one login.
type User struct {
	// Username is the login name.
	Username string `json:"username"`
	// UID is the SFTPUser's UID: a deleted and re-created user has a different one.
	UID string `json:"uid"`
	// Namespace and Name of the SFTPUser, for logs.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Methods are the combinations of steps, each of which logs in; see package factor.
	Methods []string `json:"methods"`
	// Keys that may log in.
	Keys []Key `json:"keys,omitempty"`
	// Certificates is set if the user can log in with certificates of Authentication.TrustedUserCAs that have the login name
	// among their principals.
	Certificates bool `json:"certificates,omitempty"`
	// Password that may log in.
	Password *Password `json:"password,omitempty"`
	// TOTP is the secret of an authenticator app.
	TOTP *TOTP `json:"totp,omitempty"`
	// NotAfter is when the login ends.
	NotAfter *time.Time `json:"notAfter,omitempty"`
	// AllowFrom are the networks that the user may log in from, in CIDR notation; empty means no restriction beyond the
	// listener's. Both must allow an address.
	AllowFrom []string `json:"allowFrom,omitempty"`
	// MaxConnections of this user; 0 means the listener's limit.
	MaxConnections int `json:"maxConnections,omitempty"`
	// MaxNamespaceConnections is the maximum number of connections of all users of the namespace; 0 means the daemon's share, see
	// Limits.MaxConnections.
	MaxNamespaceConnections int `json:"maxNamespaceConnections,omitempty"`
	// EventSinks are the Selected ones of Events.Sinks that get this user's events.
	EventSinks []string `json:"eventSinks,omitempty"`
	// Mounts make up the user's tree; exactly one has the path "/".
	Mounts []Mount `json:"mounts"`
}

// Key is a public key that may log in.
type Key struct {
	// PublicKey in the format of authorized_keys, without options and comment.
	PublicKey string `json:"publicKey"`
	// From are networks in CIDR notation; empty allows all.
	From []string `json:"from,omitempty"`
	// NotBefore is when the key becomes valid, nil if it is valid immediately.
	NotBefore *time.Time `json:"notBefore,omitempty"`
	// NotAfter is when the key expires, nil for never.
	NotAfter *time.Time `json:"notAfter,omitempty"`
}

// Password is a hashed password.
type Password struct {
	// Hash of argon2id in PHC string format, or of bcrypt or SHA-512 crypt in modular crypt format; see package password.
	Hash string `json:"hash"`
	// Source identifies the Secret and the version of it that was hashed; the daemon
	// does not use it.
	Source string `json:"source"`
}

// TOTP is the secret from which codes are computed (RFC 6238). Unlike a password it cannot be hashed.
type TOTP struct {
	// Secret in base32.
	Secret string `json:"secret"`
	// Digits of a code, 6 or 8.
	Digits int `json:"digits"`
	// Algorithm is SHA1, SHA256 or SHA512.
	Algorithm string `json:"algorithm"`
}

// Mount is a directory in a user's tree.
type Mount struct {
	// Path in the tree, absolute and clean.
	Path string `json:"path"`
	// Volume names an entry of Listener.Volumes.
	Volume string `json:"volume"`
	// SubPath below the volume, relative and clean; empty means the volume itself.
	SubPath string `json:"subPath,omitempty"`
	// Access is ReadWrite, ReadOnly, WriteOnly or CreateOnly.
	Access string `json:"access"`
	// ListNames lets a WriteOnly or CreateOnly directory be listed: names and attributes, never content.
	ListNames bool `json:"listNames,omitempty"`
}
