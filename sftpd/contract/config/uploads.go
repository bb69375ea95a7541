package config

import "fmt"

// Values of Uploads.Publish.
const (
	// PublishImmediate: a file is under its name from the first byte on.
	PublishImmediate = "Immediate"
	// PublishOnClose: a file gets its name when the client closes it.
	PublishOnClose = "OnClose"
)

// Values of Uploads.Incomplete.
const (
	IncompleteKeep   = "Keep"
	IncompleteDelete = "Delete"
)

// Uploads say what becomes of files that clients write.
type Uploads struct {
	// Publish is PublishImmediate or PublishOnClose; empty stands for the first.
	Publish string `json:"publish,omitempty"`
	// Incomplete is what happens to a file whose connection broke before it was closed:
	// IncompleteKeep or IncompleteDelete; empty stands for the first.
	Incomplete string `json:"incomplete,omitempty"`
	// SyncOnClose makes the close of a written file wait for the disk.
	SyncOnClose bool `json:"syncOnClose,omitempty"`
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
	return nil
}
