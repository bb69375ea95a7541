// Package event has what happens in the daemon: one type for each kind of event, and the reasons that they name.
//
// Whoever observes implements [Sink] and picks the events that it knows; the server emits each event once. A sink that waits
// holds up who emits, which is wanted of the audit log: a session waits for its line. It never holds up the end of a session:
// a connection is closed before anything about its end is emitted, except SessionEnding, for which no sink may wait.
package event
