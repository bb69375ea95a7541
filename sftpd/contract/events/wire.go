package events

import (
	"encoding/json"
	"time"
)

// Paths below which a daemon serves its events on the status port. Path and DeadPath and StatusPath are for GET, the others
// for POST with a JSON object.
const (
	// Path?sink=<name>&after=<cursor>&limit=<n>&wait=<duration>: pending events, as lines of JSON (Line). Without after they
	// begin after what the sink has acknowledged. With wait, an answer without events is delayed until there is one.
	Path = "/events"
	// AckPath: Ack.
	AckPath = "/events/ack"
	// DeadPath: GET ?sink=<name>&after=<cursor>&limit=<n> returns dead letters as lines of JSON (Line); POST: Dead.
	DeadPath = "/events/dead"
	// ReplayPath: Selection of dead letters that become pending again.
	ReplayPath = "/events/replay"
	// DropPath: Selection of dead letters to forget.
	DropPath = "/events/drop"
	// StatusPath: Status.
	StatusPath = "/events/status"
)

// Query parameters.
const (
	QuerySink  = "sink"
	QueryAfter = "after"
	QueryLimit = "limit"
	QueryWait  = "wait"
)

// Limits of requests and answers.
const (
	// MaxLimit is the most events in an answer, MaxAnswer the most bytes of lines. An answer has at least one event if
	// there is one.
	MaxLimit  = 500
	MaxAnswer = 1 << 20
	// MaxRequest is the most bytes of a request's body.
	MaxRequest = 64 << 10
	// MaxWait is the longest delay of an answer.
	MaxWait = 20 * time.Second
	// MaxReason is the most bytes of Dead.Reason; more are cut.
	MaxReason = 1024
	// MaxSinks is the most sinks of a listener, MaxDead the most dead letters that a daemon keeps for each: the oldest
	// give way.
	MaxSinks = 16
	MaxDead  = 10_000
)

// Line is a line of an answer.
type Line struct {
	// Cursor is the event's position in the pod's events. Cursors are opaque, and are only valid for the pod they come from.
	Cursor string `json:"cursor"`
	// Event as it was encoded when it was recorded. It has no newline.
	Event json.RawMessage `json:"event"`
	// Reason and Since are why and when a dead letter became one; only in answers from DeadPath.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Ack says that a sink needs no event up to a cursor anymore: they were delivered, or were not for it.
type Ack struct {
	Sink   string `json:"sink"`
	Cursor string `json:"cursor"`
}

// Dead says that an event cannot be delivered to a sink. It is kept as a dead letter, and no longer pending. Events before it
// are not affected.
type Dead struct {
	Sink   string `json:"sink"`
	Cursor string `json:"cursor"`
	Reason string `json:"reason"`
}

// Selection is some of a sink's dead letters: those with certain IDs, or all of them.
type Selection struct {
	Sink string   `json:"sink"`
	IDs  []string `json:"ids,omitempty"`
	All  bool     `json:"all,omitempty"`
}

// Done is the answer to a Selection.
type Done struct {
	// Count is how many dead letters it concerned.
	Count int `json:"count"`
}

// Status is what a daemon says about its events.
type Status struct {
	// Durable: an upload whose CLOSE is answered with OK has an event, even if the daemon is killed. Problems say why not.
	Durable  bool     `json:"durable"`
	Problems []string `json:"problems,omitempty"`
	// Full: new events are refused or displace old ones, as whenFull says.
	Full bool `json:"full,omitempty"`
	// Bytes are used of MaxBytes.
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"maxBytes"`
	// Lost is how many events could not be recorded since the daemon started.
	Lost uint64 `json:"lost,omitempty"`
	// Written events since the daemon started.
	Written uint64       `json:"written,omitempty"`
	Sinks   []SinkStatus `json:"sinks"`
	// Receipts is nil if none are issued.
	Receipts *ReceiptStatus `json:"receipts,omitempty"`
}

// ReceiptStatus is what a daemon says about receipts. The counts are since it started.
type ReceiptStatus struct {
	// Key is the fingerprint of the key that signs.
	Key    string `json:"key"`
	Issued uint64 `json:"issued"`
	// Without is how many uploads have no receipt, because their checksum is not known.
	Without uint64 `json:"without,omitempty"`
	// Pending receipts are recorded and not yet where their users find them, and Problem is why.
	Pending int    `json:"pending,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// SinkStatus is what a daemon says about a sink.
type SinkStatus struct {
	Name string `json:"name"`
	// Pending events, their size in bytes, and the time of the oldest.
	Pending int       `json:"pending"`
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Dead letters that are kept.
	Dead int `json:"dead"`
	// Dropped events since the daemon started: displaced when the outbox was full, or too old.
	Dropped uint64 `json:"dropped"`
}
