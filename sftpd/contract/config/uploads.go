package config

import "fmt"

// Values of Uploads.Publish.
const (
	// PublishImmediate: a file has its name from the first byte.
	PublishImmediate = "Immediate"
	// PublishOnClose: a file gets its name when the client closes it.
	PublishOnClose = "OnClose"
)

// Values of Uploads.Incomplete.
const (
	IncompleteKeep   = "Keep"
	IncompleteDelete = "Delete"
)

// Values of Uploads.Checksum.
const (
	// ChecksumNone: no checksum is computed.
	ChecksumNone = "None"
	// ChecksumSHA256: the SHA-256 of each file is computed when it is uploaded.
	ChecksumSHA256 = "SHA256"
)

// Uploads configures how files that clients write are handled.
type Uploads struct {
	// Publish is PublishImmediate or PublishOnClose; empty means the former.
	Publish string `json:"publish,omitempty"`
	// Incomplete is what happens to a file whose connection broke before it was closed: IncompleteKeep or IncompleteDelete; empty
	// means the former.
	Incomplete string `json:"incomplete,omitempty"`
	// SyncOnClose makes the close of a written file wait for the disk.
	SyncOnClose bool `json:"syncOnClose,omitempty"`
	// Checksum is ChecksumNone or ChecksumSHA256; empty means the former.
	Checksum string `json:"checksum,omitempty"`
}

func (u Uploads) validate() error {
	switch u.Publish {
	case "", PublishImmediate, PublishOnClose:
	default:
		return fmt.Errorf("uploads.publish %q is not known", u.Publish)
	}
	switch u.Incomplete {
	case "", IncompleteKeep, IncompleteDelete:
	default:
		return fmt.Errorf("uploads.incomplete %q is not known", u.Incomplete)
	}
	switch u.Checksum {
	case "", ChecksumNone, ChecksumSHA256:
	default:
		return fmt.Errorf("uploads.checksum %q is not known", u.Checksum)
	}
	return nil
}
