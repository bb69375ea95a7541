package events

import (
	"encoding/json"
	"time"
)

// Paths below which a daemon serves its events on the status port. Path, DeadPath and StatusPath are for GET, the others for POST
// with a JSON object.
const (
	// Path?sink=<name>&after=<cursor>&limit=<n>&wait=<duration>: pending events, as lines of JSON (Line). Without after,
	// they begin after what the sink has acknowledged. With wait, an answer without events is delayed until there is an
	// event.
	Path = "/events"
	// AckPath: Ack.
	AckPath = "/events/ack"
	// DeadPath: GET ?sink=<name>&after=<cursor>&limit=<n> returns dead letters as lines of JSON (Line); POST: Dead.
	DeadPath = "/events/dead"
	// ReplayPath: a Selection of dead letters that become pending again.
	ReplayPath = "/events/replay"
	// DropPath: a Selection of dead letters to remove.
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
	// MaxLimit is the maximum number of events in an answer, MaxAnswer the maximum number of bytes of its lines. If there is
	// an event, an answer has at least one.
	MaxLimit  = 500
	MaxAnswer = 1 << 20
	// MaxRequest is the maximum size of a request's body in bytes.
	MaxRequest = 64 << 10
	// MaxWait is the longest delay of an answer.
	MaxWait = 20 * time.Second
	// MaxReason is the maximum size of Dead.Reason in bytes. A longer one is cut.
	MaxReason = 1024
	// MaxSinks is the maximum number of sinks of a listener, MaxDead that of dead letters that a daemon keeps for each.
	// Beyond it, the oldest are dropped.
	MaxSinks = 16
	MaxDead  = 10_000
)

// Line is a line of an answer.
type Line struct {
	// Cursor is the event's position in the pod's events. Cursors are opaque, and are valid only for the pod that they come
	// from.
	Cursor string `json:"cursor"`
	// Event as it was encoded when it was recorded. It has no newline.
	Event json.RawMessage `json:"event"`
	// Reason and Since are why and when the event became a dead letter. Only answers from DeadPath have them.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Ack says that a sink no longer needs the events up to a cursor, because they were delivered or are not for it.
type Ack struct {
	Sink   string `json:"sink"`
	Cursor string `json:"cursor"`
}

// Dead says that an event cannot be delivered to a sink. It becomes a dead letter and is no longer pending. Earlier events
// are not affected.
type Dead struct {
	Sink   string `json:"sink"`
	Cursor string `json:"cursor"`
	Reason string `json:"reason"`
}

// Selection selects a sink's dead letters: those with certain IDs, or all.
type Selection struct {
	Sink string   `json:"sink"`
	IDs  []string `json:"ids,omitempty"`
	All  bool     `json:"all,omitempty"`
}

// Done is the answer to a Selection.
type Done struct {
	// Count is the number of dead letters affected.
	Count int `json:"count"`
}

// Status is what a daemon reports about its events.
type Status struct {
	// Durable: an upload whose CLOSE is answered with OK has an event, even if the daemon is killed. If not, Problems say why.
	Durable  bool     `json:"durable"`
	Problems []string `json:"problems,omitempty"`
	// Full: new events are refused or displace old ones, depending on whenFull.
	Full bool `json:"full,omitempty"`
	// Bytes is how much of MaxBytes is used.
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"maxBytes"`
	// Lost is how many events could not be recorded since the daemon started.
	Lost uint64 `json:"lost,omitempty"`
	// Written is the number of events written since the daemon started.
	Written uint64       `json:"written,omitempty"`
	Sinks   []SinkStatus `json:"sinks"`
	// Receipts is nil if none are issued.
	Receipts *ReceiptStatus `json:"receipts,omitempty"`
}

// ReceiptStatus is what a daemon reports about receipts. Counts start with the daemon.
type ReceiptStatus struct {
	// Key is the fingerprint of the key that signs.
	Key    string `json:"key"`
	Issued uint64 `json:"issued"`
	// Without is how many uploads have no receipt, because their checksum is not known.
	Without uint64 `json:"without,omitempty"`
	// Pending is the number of receipts that are recorded but not yet stored where users find them, and Problem is why.
	Pending int    `json:"pending,omitempty"`
	Problem string `json:"problem,omitempty"`
	// NotRemoved is why old receipts cannot be removed, "" if they can.
	NotRemoved string `json:"notRemoved,omitempty"`
}

// SinkStatus is what a daemon reports about a sink.
type SinkStatus struct {
	Name string `json:"name"`
	// Pending is the number of pending events, Bytes their size, and Oldest the time of the oldest.
	Pending int       `json:"pending"`
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Dead is the number of dead letters that are kept.
	Dead int `json:"dead"`
	// Dropped is the number of events dropped since the daemon started, because the outbox was full or they were too old.
	Dropped uint64 `json:"dropped"`
}
