package delivery

import "time"

// MaxStatus is the maximum size of an encoded Status in bytes.
const MaxStatus = 64 << 10

// MaxText is the maximum size of a reason or problem in a Status, in bytes.
const MaxText = 256

// Status is what a relay reports about its sinks, and what the listener's pods report about their events.
type Status struct {
	// Pods is how many pods the name resolved to, and Answering how many of them have answered recently.
	Pods      int `json:"pods"`
	Answering int `json:"answering"`
	// NotDurable is how many pods cannot promise that every upload has an event, and Problems contains the reasons, at most 4.
	NotDurable int      `json:"notDurable,omitempty"`
	Problems   []string `json:"problems,omitempty"`
	// Full is how many pods have no room for further events, and Lost how many events could not be recorded since the pods
	// started.
	Full  int          `json:"full,omitempty"`
	Lost  uint64       `json:"lost,omitempty"`
	Sinks []SinkStatus `json:"sinks"`
}

// SinkStatus is what a relay reports about a sink.
type SinkStatus struct {
	Name string `json:"name"`
	// Pending is the number of pending events of all pods, and Oldest the time of the oldest.
	Pending int       `json:"pending"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Dead is the number of dead letters that are kept, and Dropped the number of events dropped since the pods started.
	Dead    int    `json:"dead"`
	Dropped uint64 `json:"dropped,omitempty"`
	// Delivered is how many events were accepted since the relay started, and LastDelivered when the last one was.
	Delivered     uint64    `json:"delivered"`
	LastDelivered time.Time `json:"lastDelivered,omitzero"`
	// Failing is how many attempts in a row have failed, and Reason why the last one did.
	Failing int    `json:"failing,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Suspended is why nothing more is sent to the receiver, "" if events are sent. Held is the one from the configuration.
	Suspended string `json:"suspended,omitempty"`
	Held      string `json:"held,omitempty"`
}
