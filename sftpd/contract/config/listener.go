package config

import "time"

// Version of the format that this package writes and the highest that it reads.
const Version = 1

// Names of files in a configuration directory.
const (
	ListenerFile  = "listener.json"
	hostKeyPrefix = "hostkey-"
	shardPrefix   = "users-"
	shardSuffix   = ".jsonl"
)

// Listener is the content of listener.json: an endpoint's settings.
type Listener struct {
	// Version is the format's version, 1.
	Version int `json:"version"`
	// Namespace and Name of the SFTPListener, for logs.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// CryptoPolicy names the algorithms, e.g. "Modern2026".
	CryptoPolicy string `json:"cryptoPolicy"`
	// CryptoPolicyNotAfter is when CryptoPolicy gives way to the default policy; the
	// policy Legacy2026 must have it.
	CryptoPolicyNotAfter *time.Time `json:"cryptoPolicyNotAfter,omitempty"`
	// SoftwareVersion is what follows "SSH-2.0-" in the daemon's identification (RFC 4253
	// section 4.2); empty leaves the daemon's own.
	SoftwareVersion string `json:"softwareVersion,omitempty"`
	// AllowFrom are the networks that may connect, in CIDR notation; empty allows all.
	AllowFrom      []string       `json:"allowFrom,omitempty"`
	ProxyProtocol  *ProxyProtocol `json:"proxyProtocol,omitempty"`
	Authentication Authentication `json:"authentication"`
	Limits         Limits         `json:"limits"`
	Startups       Startups       `json:"startups,omitzero"`
	Sources        Sources        `json:"sources,omitzero"`
	Uploads        Uploads        `json:"uploads,omitzero"`
	Revoked        Revoked        `json:"revoked,omitzero"`
	Shutdown       Shutdown       `json:"shutdown"`
	Tracing        Tracing        `json:"tracing,omitzero"`
	// Volumes are the directories that users' mounts refer to.
	Volumes []Volume `json:"volumes"`
	// HostKeys in the order in which they are offered. StatusKey is derived from the first.
	HostKeys []HostKey `json:"hostKeys"`
	// Shards that together hold all users.
	Shards []File `json:"shards"`
}

// maxBanner is 2048 characters, as the API has it, of at most four bytes.
const maxBanner = 4 * 2048

// Authentication bounds how clients log in.
type Authentication struct {
	// Methods that are offered: MethodPublicKey, MethodPassword.
	Methods []string `json:"methods"`
	// MaxTries is the number of failed attempts before a connection is closed.
	MaxTries int `json:"maxTries"`
	// LoginGraceSeconds is the time from accept to a completed login.
	LoginGraceSeconds int `json:"loginGraceSeconds"`
	// Banner is sent before the login (RFC 4252 section 5.4), empty for none. Its lines end with a
	// newline.
	Banner string `json:"banner,omitempty"`
	// TrustedUserCAs are the public keys of CAs whose certificates log in the users who
	// accept them, in the format of authorized_keys.
	TrustedUserCAs []string `json:"trustedUserCAs,omitempty"`
	// SharedCodes names the volume on which the daemons of the listener tell each other
	// which codes of authenticator apps were used; empty for a daemon that is alone.
	SharedCodes string `json:"sharedCodes,omitempty"`
}

// LoginGrace is LoginGraceSeconds as a duration.
func (a Authentication) LoginGrace() time.Duration {
	return time.Duration(a.LoginGraceSeconds) * time.Second
}

// Limits bound what clients use, for each daemon.
type Limits struct {
	// MaxConnections of all users together, logins in progress included.
	MaxConnections int `json:"maxConnections"`
	// MaxConnectionsPerUser is the number of connections of a user.
	MaxConnectionsPerUser int `json:"maxConnectionsPerUser"`
	// IdleTimeoutSeconds after the last request closes a connection.
	IdleTimeoutSeconds int `json:"idleTimeoutSeconds"`
}

// IdleTimeout is IdleTimeoutSeconds as a duration.
func (l Limits) IdleTimeout() time.Duration {
	return time.Duration(l.IdleTimeoutSeconds) * time.Second
}

// Shutdown is how a daemon ends after SIGTERM.
type Shutdown struct {
	// ReadinessDelaySeconds: how long connections are still accepted after the daemon
	// said that it is not ready.
	ReadinessDelaySeconds int `json:"readinessDelaySeconds"`
	// DrainTimeoutSeconds: how long transfers then may go on.
	DrainTimeoutSeconds int `json:"drainTimeoutSeconds"`
}

// ReadinessDelay is ReadinessDelaySeconds as a duration.
func (s Shutdown) ReadinessDelay() time.Duration {
	return time.Duration(s.ReadinessDelaySeconds) * time.Second
}

// DrainTimeout is DrainTimeoutSeconds as a duration.
func (s Shutdown) DrainTimeout() time.Duration {
	return time.Duration(s.DrainTimeoutSeconds) * time.Second
}

// Volume is a directory of the daemon's file system under a name.
type Volume struct {
	Name string `json:"name"`
	// Path is absolute, or relative to the configuration directory.
	Path string `json:"path"`
	// IgnoreAttributes makes requests to change permissions, owners and times succeed
	// without effect, for volumes that have none.
	IgnoreAttributes bool `json:"ignoreAttributes,omitempty"`
}

// File names another file of the set.
type File struct {
	// Name without any directory.
	Name string `json:"name"`
	// SHA256 of the content, lower-case hexadecimal.
	SHA256 string `json:"sha256"`
}
