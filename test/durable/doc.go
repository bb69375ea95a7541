// Package durable kills the daemon with SIGKILL, at each step of recording an upload and at random under load, and compares
// what clients were told with the events that come out; and kills the relay and plays a bad receiver meanwhile. The daemon is
// a process of its own: this test's program, which runs the daemon when it is started as one. Results are printed in lines
// that start with EVENTS.
package durable
