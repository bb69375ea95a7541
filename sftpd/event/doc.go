// Package event has the words for what happens in the daemon: why something was refused or ended.
package event
