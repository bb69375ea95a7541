package admission

import (
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// limits are what bounds new connections.
type limits struct {
	connections int
	startups    config.Startups
}

func (a *Admission) limitsOf(s *snapshot.Snapshot) limits {
	l := limits{connections: s.Listener.Limits.MaxConnections, startups: s.Listener.Startups}
	if a.MostConnections > 0 {
		l.connections = min(l.connections, a.MostConnections)
	}
	return l
}

// dropProbability is the probability with which a connection is refused when there are
// so many that are not logged in: it rises linearly, as with OpenSSH's MaxStartups
// (sshd_config(5)).
func dropProbability(s config.Startups, startups int) float64 {
	switch {
	case s.Full == 0 || startups < s.Begin:
		return 0
	case startups >= s.Full:
		return 1
	}
	p := float64(s.DropPercent) / 100
	return p + (1-p)*float64(startups-s.Begin)/float64(s.Full-s.Begin)
}
