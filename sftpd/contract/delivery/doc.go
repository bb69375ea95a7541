// Package delivery is the contract between the operator and the relay of a listener, which delivers the listener's events: the
// relay's configuration, and what it reports about its sinks.
package delivery
