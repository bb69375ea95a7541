package config

import "time"

// StatusPath is the HTTP path under which a daemon serves its Status.
const StatusPath = "/configz"

// MaxStatusSize limits a Status as JSON, in bytes.
const MaxStatusSize = 64 << 10

// Status describes the configuration that a daemon runs with. It is readable without authentication on the health port, so it
// names no user. If a request has a nonce, the daemon proves the answer; see StatusProof.
type Status struct {
	// Digest of the loaded configuration, "" before the first.
	Digest string `json:"digest"`
	// LoadedAt is when it was loaded.
	LoadedAt time.Time `json:"loadedAt,omitzero"`
	// Users is the number of logins in it.
	Users int `json:"users"`
	// RejectedUIDs are the UIDs of users whose records could not be used, at most MaxRejectedUIDs of them.
	RejectedUIDs []string `json:"rejectedUIDs,omitempty"`
	// FailedDigest and Error describe a newer configuration that could not be loaded, and why.
	FailedDigest string `json:"failedDigest,omitempty"`
	Error        string `json:"error,omitempty"`
	// Sessions is the number of connections that are logged in, nil from a daemon that does not report it.
	Sessions *int `json:"sessions,omitempty"`
	// Volumes are the volumes that users may write to, with their last known state.
	Volumes []VolumeStatus `json:"volumes,omitempty"`
	// Retention contains the last runs of retention, at most MaxRetentionRules and one for each volume.
	Retention []RetentionStatus `json:"retention,omitempty"`
	// Receipts is nil if none are issued, if it is not known yet how they are kept, and from a daemon that does not report it.
	Receipts *ReceiptsStatus `json:"receipts,omitempty"`
	// Version of the daemon.
	Version string `json:"version"`
	// Draining means that the daemon was told to shut down.
	Draining bool `json:"draining,omitempty"`
}

// MaxRejectedUIDs limits Status.RejectedUIDs.
const MaxRejectedUIDs = 100

// VolumeStatus reports whether files can be created on a volume.
type VolumeStatus struct {
	// Name of the volume in the listener.
	Name string `json:"name"`
	// Problem is the reason why files cannot be created, "" if they can.
	Problem VolumeProblem `json:"problem,omitempty"`
	// UID is the user that the daemon runs as.
	UID int `json:"uid"`
}

// VolumeProblem is why files cannot be created on a volume.
type VolumeProblem string

// The possible problems.
const (
	// VolumeReadOnly: EROFS, or mounted read-only.
	VolumeReadOnly VolumeProblem = "ReadOnly"
	// VolumeFull: no blocks or inodes, or a quota is used up.
	VolumeFull VolumeProblem = "Full"
	// VolumePermissionDenied: the daemon's user and groups lack permission.
	VolumePermissionDenied VolumeProblem = "PermissionDenied"
	// VolumeNotMounted: the directory does not exist. A pod that is older than the volume
	// does not have it.
	VolumeNotMounted VolumeProblem = "NotMounted"
	// VolumeSilent: no response, for example from a network volume whose server is unavailable.
	VolumeSilent VolumeProblem = "NoAnswer"
	// VolumeFailed: something else; the daemon's log contains the error.
	VolumeFailed VolumeProblem = "Failed"
)

// StaleUploads is the name under which the leftovers of uploads appear among the rules of retention.
const StaleUploads = "stale-uploads"

// RetentionStatus is the last run of a rule of retention on a volume.
type RetentionStatus struct {
	// Rule is its name, or StaleUploads.
	Rule string `json:"rule"`
	// Volume is the volume's name.
	Volume string `json:"volume"`
	// LastRun is when the run ended, by the volume's clock; zero if there was none.
	LastRun time.Time `json:"lastRun,omitzero"`
	// Files match the rule. Due of them have expired, and DueBytes is their size.
	Files    int64 `json:"files"`
	Due      int64 `json:"due"`
	DueBytes int64 `json:"dueBytes"`
	// Deleted is the number of files that were deleted, InUse the number of due ones that were open, and Failed the number that
	// could not be deleted.
	Deleted int64 `json:"deleted,omitempty"`
	InUse   int64 `json:"inUse,omitempty"`
	Failed  int64 `json:"failed,omitempty"`
	// Skipped are directories that were not looked into.
	Skipped int64 `json:"skipped,omitempty"`
	// Halted is why an enforced rule does not delete, "" if nothing is wrong. Message has details, of at most MaxRetentionMessage
	// bytes and without names of files.
	Halted  RetentionHalt `json:"halted,omitempty"`
	Message string        `json:"message,omitempty"`
}

// MaxRetentionMessage bounds RetentionStatus.Message, in bytes.
const MaxRetentionMessage = 256

// ReceiptsStatus reports how the receipts for uploads are kept, in words that name neither users nor files.
type ReceiptsStatus struct {
	// Failing is why receipts cannot be written to where their users find them, "" if they can.
	Failing string `json:"failing,omitempty"`
	// NotDurable is why a kill may lose receipts of uploads that were answered with OK, "" if it cannot.
	NotDurable string `json:"notDurable,omitempty"`
	// NotRemoved is why old receipts cannot be removed, "" if they can.
	NotRemoved string `json:"notRemoved,omitempty"`
}

// RetentionHalt is why retention does not delete.
type RetentionHalt string

// The reasons.
const (
	// HaltTooMany: more files would be deleted than the rule's limits allow.
	HaltTooMany RetentionHalt = "TooMany"
	// HaltClock: a clock was set, or clocks differ.
	HaltClock RetentionHalt = "Clock"
	// HaltHold: a held directory does not exist. It may have been renamed.
	HaltHold RetentionHalt = "Hold"
	// HaltVolume: the volume does not support locks, denies the daemon what it needs, or fails.
	HaltVolume RetentionHalt = "Volume"
	// HaltIncomplete: not all directories could be counted in time.
	HaltIncomplete RetentionHalt = "Incomplete"
)
