package admission

import (
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// limits bound new connections.
type limits struct {
	connections int
	startups    config.Startups
}

func (a *Admission) limitsOf(s *snapshot.Snapshot) limits {
	return limits{connections: a.Most(s), startups: s.Listener.Startups}
}

// Most returns how many connections there can be under a configuration, including logins in progress.
func (a *Admission) Most(s *snapshot.Snapshot) int {
	if a.MostConnections > 0 {
		return min(s.Listener.Limits.MaxConnections, a.MostConnections)
	}
	return s.Listener.Limits.MaxConnections
}

// namespaceStartups returns how many logins in progress one namespace may have, 0 for no limit. It is half of the number above
// which new connections are refused at random, so that one namespace cannot bring the server to that point.
func namespaceStartups(s *snapshot.Snapshot) int {
	if !s.Shared() || s.Listener.Startups.Full == 0 {
		return 0
	}
	return max(1, s.Listener.Startups.Begin/2)
}

// dropProbability returns the probability with which a connection is refused at this number of logins in progress: it rises
// linearly, as in OpenSSH's MaxStartups (sshd_config(5)).
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
