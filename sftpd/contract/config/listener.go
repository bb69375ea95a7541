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
	// CryptoPolicyNotAfter is when the default policy replaces CryptoPolicy; it is required for the policy Legacy2026.
	CryptoPolicyNotAfter *time.Time `json:"cryptoPolicyNotAfter,omitempty"`
	// SoftwareVersion is what follows "SSH-2.0-" in the daemon's identification (RFC 4253 section 4.2); empty keeps the daemon's
	// own.
	SoftwareVersion string `json:"softwareVersion,omitempty"`
	// AllowFrom are the networks that may connect, in CIDR notation; empty allows all.
	AllowFrom      []string       `json:"allowFrom,omitempty"`
	ProxyProtocol  *ProxyProtocol `json:"proxyProtocol,omitempty"`
	Authentication Authentication `json:"authentication"`
	Limits         Limits         `json:"limits"`
	Startups       Startups       `json:"startups,omitzero"`
	Sources        Sources        `json:"sources,omitzero"`
	Uploads        Uploads        `json:"uploads,omitzero"`
	Retention      Retention      `json:"retention,omitzero"`
	Revoked        Revoked        `json:"revoked,omitzero"`
	Shutdown       Shutdown       `json:"shutdown"`
	Tracing        Tracing        `json:"tracing,omitzero"`
	Events         Events         `json:"events,omitzero"`
	Receipts       Receipts       `json:"receipts,omitzero"`
	// Volumes are the directories that users' mounts refer to.
	Volumes []Volume `json:"volumes"`
	// RefusedUsers are users who are suspended or expired, at most MaxRefusedUsers. Other users who cannot log in are not in the
	// configuration at all.
	RefusedUsers []RefusedUser `json:"refusedUsers,omitempty"`
	// HostKeys in the order in which they are offered. StatusKey is derived from the first.
	HostKeys []HostKey `json:"hostKeys"`
	// Shards, which together hold all users.
	Shards []File `json:"shards"`
}

// maxBanner is 2048 characters, as in the API, of at most four bytes each.
const maxBanner = 4 * 2048

// Authentication configures how clients log in.
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
	// SharedCodes names the volume on which the listener's daemons share the used codes of authenticator apps; empty for a single
	// daemon.
	SharedCodes string `json:"sharedCodes,omitempty"`
}

// LoginGrace returns LoginGraceSeconds as a duration.
func (a Authentication) LoginGrace() time.Duration {
	return time.Duration(a.LoginGraceSeconds) * time.Second
}

// Limits restrict what clients use on each daemon.
type Limits struct {
	// MaxConnections is the limit for all users together, including logins in progress. While the shards have users from several
	// namespaces, one namespace may have as many sessions as are still free, which is half of all if no other has any, unless its
	// users have a MaxNamespaceConnections.
	MaxConnections int `json:"maxConnections"`
	// MaxConnectionsPerUser is the maximum number of connections of one user.
	MaxConnectionsPerUser int `json:"maxConnectionsPerUser"`
	// IdleTimeoutSeconds is how long after the last request an idle connection is closed.
	IdleTimeoutSeconds int `json:"idleTimeoutSeconds"`
}

// IdleTimeout returns IdleTimeoutSeconds as a duration.
func (l Limits) IdleTimeout() time.Duration {
	return time.Duration(l.IdleTimeoutSeconds) * time.Second
}

// Shutdown is how a daemon ends after SIGTERM.
type Shutdown struct {
	// ReadinessDelaySeconds: how long connections are still accepted after the daemon has reported that it is not ready.
	ReadinessDelaySeconds int `json:"readinessDelaySeconds"`
	// DrainTimeoutSeconds: how long transfers may then continue.
	DrainTimeoutSeconds int `json:"drainTimeoutSeconds"`
}

// ReadinessDelay returns ReadinessDelaySeconds as a duration.
func (s Shutdown) ReadinessDelay() time.Duration {
	return time.Duration(s.ReadinessDelaySeconds) * time.Second
}

// DrainTimeout returns DrainTimeoutSeconds as a duration.
func (s Shutdown) DrainTimeout() time.Duration {
	return time.Duration(s.DrainTimeoutSeconds) * time.Second
}

// Volume is a named directory in the daemon's file system.
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
