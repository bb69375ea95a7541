// Package event defines the events of the daemon: one type for each kind of event, and their reasons.
//
// An observer implements [Sink] and handles the events that it knows; the server emits each event once. A sink that waits
// delays the emitter, which is intended for the audit log: a session waits for its line. It never holds up the end of a
// session: a connection is closed before anything about its end is emitted, except SessionEnding, for which no sink may wait.
package event
