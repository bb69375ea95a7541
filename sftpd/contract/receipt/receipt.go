package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

const (
	// Version of the format.
	Version = 1
	// Namespace is the namespace of the SSH signatures, so that a signature made for another purpose cannot pass as one of a
	// receipt.
	Namespace = "receipt@sftp-operator.io"
	// PayloadType is the payload type of the DSSE envelopes.
	PayloadType = "application/vnd.sftp-operator.receipt.v1+json"
	// MaxSize is the maximum size of a receipt in bytes. A typical one has 600.
	MaxSize = 8 << 10
)

// Receipt states that a file was uploaded completely and got its name.
type Receipt struct {
	// Version is 1. A later release may add fields without changing it.
	Version int `json:"version"`
	// ID is the ID of the event io.sftp-operator.file.published.v1 about the same upload.
	ID string `json:"id"`
	// Listener and User are namespace/name of the SFTPListener and the SFTPUser.
	Listener string `json:"listener"`
	User     string `json:"user"`
	// Path is in the user's tree; see events.Data for the three fields.
	Path       string `json:"path,omitempty"`
	PathBase64 string `json:"path_base64,omitempty"`
	PathLength int    `json:"path_length,omitempty"`
	// Size of the file in bytes, and the SHA-256 of its content in lower-case hexadecimal.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Published is when the file got its name, by the clock of the server.
	Published time.Time `json:"published"`
	// Connection is the connection's ID in the audit log, Source the client's address and port.
	Connection string `json:"connection"`
	Source     string `json:"source,omitempty"`
	// Chain identifies the chain together with the listener and the user, and Sequence is the place in it, from 1.
	Chain    string `json:"chain"`
	Sequence uint64 `json:"sequence"`
	// Previous is the Hash of the receipt before this one in the chain, "" for the first.
	Previous string `json:"previous,omitempty"`
	// Key is the fingerprint of the key that signs: SHA256: and 43 characters.
	Key string `json:"key"`
}

// Of returns the receipt for an event about an upload, without its place in a chain and its key. It fails for an event
// without a checksum, and for one that is not about an upload.
func Of(e *events.Event) (*Receipt, error) {
	if e.Type != events.FilePublished || e.Data.Size == nil || e.Data.SHA256 == "" {
		return nil, errors.New("only an upload with a checksum has a receipt")
	}
	return &Receipt{
		Version: Version, ID: e.ID, Listener: e.Data.Listener, User: e.Data.User,
		Path: e.Data.Path, PathBase64: e.Data.PathBase64, PathLength: e.Data.PathLength,
		Size: *e.Data.Size, SHA256: e.Data.SHA256, Published: e.Time, Connection: e.Data.Connection, Source: e.Data.SourceAddress,
	}, nil
}

// Encode returns the receipt's bytes. It fails for a receipt that Validate refuses.
func Encode(r *Receipt) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("a receipt must not have more than %d bytes", MaxSize)
	}
	return b.Bytes(), nil
}

// Decode parses a receipt of this or a later release. It verifies nothing.
func Decode(raw []byte) (*Receipt, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("a receipt must not have more than %d bytes", MaxSize)
	}
	if i := bytes.IndexByte(raw, '\n'); i != len(raw)-1 {
		return nil, errors.New("a receipt must be one line that ends with a newline")
	}
	r := new(Receipt)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("decode receipt: %w", err)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// Hash returns the SHA-256 of a receipt's bytes as Previous has it.
func Hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

var (
	wordRE        = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	nameRE        = regexp.MustCompile(`^[a-z0-9.-]{1,253}/[a-z0-9.-]{1,253}$`)
	hashRE        = regexp.MustCompile(`^[0-9a-f]{64}$`)
	fingerprintRE = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)
)

// Validate returns an error for a receipt that breaks a rule of this package.
func (r *Receipt) Validate() error {
	switch {
	case r.Version != Version:
		return fmt.Errorf("version must be %d", Version)
	case !wordRE.MatchString(r.ID):
		return errors.New("id must be 1 to 64 letters, digits, '-' and '_'")
	case !nameRE.MatchString(r.Listener) || !nameRE.MatchString(r.User):
		return errors.New("listener and user must be namespace/name")
	case (r.Path == "") == (r.PathBase64 == "") || len(r.Path) > events.MaxPath || r.PathLength < 0:
		return errors.New("one of path and path_base64 must be set")
	case r.Size < 0:
		return errors.New("size must not be negative")
	case !hashRE.MatchString(r.SHA256):
		return errors.New("sha256 must be 64 hexadecimal digits")
	case r.Published.IsZero():
		return errors.New("published must be set")
	case len(r.Connection) > 64 || len(r.Source) > 128:
		return errors.New("connection or source is too long")
	case !wordRE.MatchString(r.Chain):
		return errors.New("chain must be 1 to 64 letters, digits, '-' and '_'")
	case r.Sequence == 0:
		return errors.New("sequence must be at least 1")
	case r.Sequence == 1 && r.Previous != "", r.Sequence > 1 && !hashRE.MatchString(r.Previous):
		return errors.New("previous must be the SHA-256 of the preceding receipt, except in the first")
	case !fingerprintRE.MatchString(r.Key):
		return errors.New("key must be the fingerprint of a key")
	}
	if _, err := r.FullPath(); err != nil {
		return fmt.Errorf("path_base64: %w", err)
	}
	return nil
}

// FullPath returns the path's bytes, whichever field has them.
func (r *Receipt) FullPath() (string, error) {
	d := events.Data{Path: r.Path, PathBase64: r.PathBase64}
	return d.FullPath()
}
