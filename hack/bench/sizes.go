package main

import "time"

// sizes are the amounts of each kind of work in a run.
type sizes struct {
	rounds int
	// stream is the size of the file of a single transfer in bytes, and what parallel sessions transfer together.
	stream int
	// Numbers of files of 4 KiB, of entries of a directory, and of logins in a row.
	files, entries, logins int
	// idle are the numbers of sessions that are open at once.
	idle []int
	// rest is how long idle sessions wait before their memory is measured.
	rest time.Duration
}

const (
	mib      = 1 << 20
	gib      = 1 << 30
	fileSize = 4 << 10
)

var (
	full = sizes{
		rounds: 5, stream: gib, files: 10_000, entries: 50_000, logins: 100,
		idle: []int{1, 100, 1000, 5000}, rest: 20 * time.Second,
	}
	quick = sizes{
		rounds: 1, stream: 32 * mib, files: 1000, entries: 5000, logins: 10,
		idle: []int{1, 100}, rest: 2 * time.Second,
	}
)
