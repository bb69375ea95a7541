package main

import (
	"time"

	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// settle is how long a server may be busy with finished work.
const settle = 10 * time.Second

// usage is what some work cost.
type usage struct {
	cpu   time.Duration // of the server and its children
	wall  time.Duration // of the client
	calls int64         // of read and write, by processes that existed before and after
}

// measure does some work and returns what the server used for it.
func measure(s *servers.Server, work func() error) (usage, error) {
	var u usage
	cpu, err := s.Group.Settled(settle)
	if err != nil {
		return u, err
	}
	calls, err := s.Group.Calls()
	if err != nil {
		return u, err
	}
	begin := time.Now()
	if err := work(); err != nil {
		return u, err
	}
	u.wall = time.Since(begin)
	after, err := s.Group.Settled(settle)
	if err != nil {
		return u, err
	}
	callsAfter, err := s.Group.Calls()
	u.cpu, u.calls = after-cpu, callsAfter-calls
	return u, err
}

// values of the metrics of one round.
type values map[string]float64

// ofBytes returns the values of a transfer.
func (u usage) ofBytes(n int) values {
	return values{
		report.CPUPerGiB:    u.cpu.Seconds() / (float64(n) / gib),
		report.MiBPerSecond: float64(n) / mib / u.wall.Seconds(),
	}
}

// ofSessions returns the values of a transfer by sessions that existed before and after.
func (u usage) ofSessions(n int) values {
	v := u.ofBytes(n)
	v[report.CallsPerGiB] = float64(u.calls) / (float64(n) / gib)
	return v
}

// ofFiles returns the values of many small files.
func (u usage) ofFiles(n int) values {
	return values{
		report.CPUPerFile: microseconds(u.cpu) / float64(n),
		report.FilesPerS:  float64(n) / u.wall.Seconds(),
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
