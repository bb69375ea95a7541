package config

import "time"

// StatusPath is the HTTP path under which a daemon shows its Status.
const StatusPath = "/configz"

// MaxStatusSize bounds a Status as JSON, in bytes.
const MaxStatusSize = 64 << 10

// Status is what a daemon says of the configuration that it runs with. It is readable
// without authentication on the health port, so it names no user. To a request with a nonce
// the daemon proves it, see StatusProof.
type Status struct {
	// Digest of the loaded configuration, "" before the first.
	Digest string `json:"digest"`
	// LoadedAt is when it was loaded.
	LoadedAt time.Time `json:"loadedAt,omitzero"`
	// Users is the number of logins in it.
	Users int `json:"users"`
	// RejectedUIDs are the UIDs of the users whose records could not be used, at most
	// MaxRejectedUIDs of them.
	RejectedUIDs []string `json:"rejectedUIDs,omitempty"`
	// FailedDigest and Error say which newer configuration could not be loaded, and why.
	FailedDigest string `json:"failedDigest,omitempty"`
	Error        string `json:"error,omitempty"`
	// Sessions is the number of connections that are logged in, nil from a daemon that does
	// not say.
	Sessions *int `json:"sessions,omitempty"`
	// Volumes are those that users may write to, as they were found last.
	Volumes []VolumeStatus `json:"volumes,omitempty"`
	// Version of the daemon.
	Version string `json:"version"`
	// Draining says that the daemon was told to end.
	Draining bool `json:"draining,omitempty"`
}

// MaxRejectedUIDs bounds Status.RejectedUIDs.
const MaxRejectedUIDs = 100

// VolumeStatus is whether files can be made on a volume.
type VolumeStatus struct {
	// Name of the volume in the listener.
	Name string `json:"name"`
	// Problem is why they cannot, "" if they can.
	Problem VolumeProblem `json:"problem,omitempty"`
	// UID is the user that the daemon runs as.
	UID int `json:"uid"`
}

// VolumeProblem is why files cannot be made on a volume.
type VolumeProblem string

// The problems.
const (
	// VolumeReadOnly: EROFS, or mounted read-only.
	VolumeReadOnly VolumeProblem = "ReadOnly"
	// VolumeFull: no blocks or inodes, or a quota is used up.
	VolumeFull VolumeProblem = "Full"
	// VolumePermissionDenied: the daemon's user and groups may not.
	VolumePermissionDenied VolumeProblem = "PermissionDenied"
	// VolumeNotMounted: the directory does not exist. A pod that is older than the volume
	// does not have it.
	VolumeNotMounted VolumeProblem = "NotMounted"
	// VolumeSilent: no answer, as of a network volume whose server is away.
	VolumeSilent VolumeProblem = "NoAnswer"
	// VolumeFailed: something else; the daemon's log has it.
	VolumeFailed VolumeProblem = "Failed"
)
