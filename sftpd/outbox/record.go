package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// kind of a record.
type kind string

const (
	// prepared: a file is about to get its final name.
	prepared kind = "P"
	// recorded: an event. It settles the prepared record that Of names, if any.
	recorded kind = "E"
	// abandoned: what the prepared record Of announced did not happen.
	abandoned kind = "A"
	// forgotten: dead letters that are gone.
	forgotten kind = "X"
	// state: what the sinks have acknowledged. Each segment begins with one.
	state kind = "S"
)

// record is a line of a segment. Later releases may add fields and kinds, which are ignored.
type record struct {
	Kind kind `json:"k"`
	// N is the record's position, which increases within a log.
	N uint64 `json:"n,omitempty"`
	// Of is the position of the prepared record that this one settles, or of the event that became a dead letter.
	Of uint64 `json:"of,omitempty"`

	// Dir, Name: where a file will be; Temp: its name until then, in the same directory, or the absolute path for a rename.
	Dir  []byte `json:"dir,omitempty"`
	Name []byte `json:"name,omitempty"`
	Temp []byte `json:"temp,omitempty"`
	// Inode of the file, and when it was last written to, in nanoseconds since 1970; 0 in records of earlier releases.
	Inode   uint64 `json:"ino,omitempty"`
	Written int64  `json:"mt,omitempty"`
	// Rename: requested by a client, so there is no upload that could fail.
	Rename bool `json:"rename,omitempty"`

	// User is namespace/name of the user whose share the record counts toward.
	User string      `json:"u,omitempty"`
	Type events.Type `json:"t,omitempty"`
	// For names the sinks of an event; empty means all that want its type and select no users. In a prepared record, For names the
	// sinks that get the user's events of any type.
	For []string `json:"for,omitempty"`
	// At is when the event was recorded, in seconds. Dead is why it is a dead letter of its sink, since then.
	At   int64  `json:"at,omitempty"`
	Dead string `json:"dead,omitempty"`
	// Event in structured JSON.
	Event json.RawMessage `json:"event,omitempty"`
	// Receipt for the upload, as an envelope with both signatures, until it is in the store of receipts.
	Receipt json.RawMessage `json:"receipt,omitempty"`

	// Gone are the positions of dead letters that were removed.
	Gone []uint64 `json:"gone,omitempty"`

	// Log is random and identifies the log, Acked contains the last acknowledged position of each sink.
	Log   string            `json:"log,omitempty"`
	Acked map[string]uint64 `json:"acked,omitempty"`
}

// maxRecord bounds a line: an event, and the names of a prepared record in base64, or a receipt.
const maxRecord = events.MaxSize + 16<<10

// sumLength is the length of a checksum and the space after it.
const sumLength = 9

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode appends a record's line: the CRC-32C of the JSON text in hexadecimal, a space, and the text.
func (r *record) encode(to []byte) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the event's bytes stay as they are
	if err := enc.Encode(r); err != nil {
		return to, err
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(text) > maxRecord {
		return to, fmt.Errorf("a record of %d bytes is too large", len(text))
	}
	to = fmt.Appendf(to, "%08x ", crc32.Checksum(text, castagnoli))
	return append(append(to, text...), '\n'), nil
}

var errDamaged = errors.New("damaged record")

// decode parses a line, with or without its newline.
func decode(line []byte) (*record, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) <= sumLength || line[sumLength-1] != ' ' || len(line) > sumLength+maxRecord {
		return nil, errDamaged
	}
	sum, err := strconv.ParseUint(string(line[:sumLength-1]), 16, 32)
	text := line[sumLength:]
	if err != nil || sum != uint64(crc32.Checksum(text, castagnoli)) {
		return nil, errDamaged
	}
	r := new(record)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, errDamaged
	}
	if r.Kind == recorded && len(r.Event) == 0 {
		return nil, errDamaged
	}
	return r, nil
}

// noSequence is a placeholder for an event's sequence until its position is known.
const noSequence = "00000000000000000000"

var sequenceField = []byte(`"sequence":"` + noSequence + `"`)

// numbered returns the event with its sequence. The field's text cannot be within a string, where quotes are escaped.
func numbered(event []byte, n uint64) []byte {
	at := bytes.Index(event, sequenceField)
	if at < 0 {
		return event // it has one
	}
	out := bytes.Clone(event)
	copy(out[at+len(`"sequence":"`):], fmt.Sprintf("%020d", n))
	return out
}
