package server

import (
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// reservedDescriptors are for what is not a user's: the health port's connections, and the process's own, such as
// standard streams, listeners, the configuration that is being read, exports of traces and looks at volumes.
const reservedDescriptors = health.MaxConnections + 32

// fewDescriptors says, once, that the process cannot have as many connections as it is told to.
func (s *Server) fewDescriptors(current *snapshot.Snapshot) {
	most := s.admission.MostConnections
	if wanted := current.Listener.Limits.MaxConnections; wanted > most {
		s.warned.Do(func() {
			s.Log.Warn("the limit of open files (RLIMIT_NOFILE) allows fewer connections than the configuration",
				"connections", most, "configured", wanted)
		})
	}
}
