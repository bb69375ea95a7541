package snapshot

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// maxWritten bounds the directories of a volume that Written returns.
const maxWritten = 16

// Written returns the volumes that at least one user may write to, by directory, each with the first directories on it that users
// write to.
func (s *Snapshot) Written() map[string][]string {
	out := map[string][]string{}
	for _, u := range s.users {
		for _, m := range u.Mounts {
			if m.Access == config.ReadOnly {
				continue
			}
			dirs := out[m.Dir]
			at, known := slices.BinarySearch(dirs, m.SubPath)
			if known || at == maxWritten {
				continue
			}
			if len(dirs) == maxWritten {
				dirs = dirs[:maxWritten-1]
			}
			out[m.Dir] = slices.Insert(dirs, at, m.SubPath)
		}
	}
	return out
}
