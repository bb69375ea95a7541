package main

import (
	"context"

	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// workload is one kind of work. Work is done by every server in turn, round after round.
type workload struct {
	id, title string
	// prepare creates what the work needs, once for each server, on this machine rather than by SFTP. It may be nil.
	prepare func(*servers.Server) error
	// run does the work once, and checks the result outside the timed part.
	run func(context.Context, *servers.Server) (values, error)
	// cleanUp removes what prepare and run created. It may be nil.
	cleanUp func(*servers.Server) error
	// once is set if one round is enough, for example for the memory of sessions.
	once bool
	// amount is how much work a round does, in units of the given name.
	amount float64
	unit   string
}

// group is a sequence of workloads for freshly started servers.
type group struct {
	id, title string
	workloads []workload
}

// plan returns all groups of a run.
func (b *bench) plan() []group {
	return []group{
		{"raw", "One transfer, our client", b.rawTransfers()},
		{"sftp", "One transfer, OpenSSH's client", b.commandTransfers()},
		{"parallel", "Many transfers at once, aes128-gcm, our client", b.parallelTransfers()},
		{"files", "Files of 4 KiB, aes128-gcm, our client", b.smallFiles()},
		{"list", "A long directory, aes128-gcm, our client", b.listing()},
		{"login", "Logins, our client", b.logins()},
		{"idle", "Idle sessions with SFTP open", b.idleSessions()},
	}
}
