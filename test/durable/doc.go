// Package durable kills the daemon with SIGKILL, at each step of recording an upload and at random under load, and compares
// what clients were told with the resulting events; meanwhile it also kills the relay and plays a failing receiver. The daemon
// is a separate process: this test's program, which can also run as the daemon. Results are printed in lines that start with
// EVENTS.
package durable
