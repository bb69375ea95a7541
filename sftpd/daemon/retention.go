package daemon

import (
	"path"
	"strings"
	"sync"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/retention"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

func (d *Daemon) retention() []retention.Volume {
	if s := d.loader.Current(); s != nil {
		return Retention(s)
	}
	return nil
}

// Retention returns what is to be deleted according to a configuration, and on which volume.
func Retention(s *snapshot.Snapshot) []retention.Volume {
	r, written := s.Listener.Retention, s.Written()
	var out []retention.Volume
	for _, v := range s.Listener.Volumes {
		_, leftovers := written[v.Path]
		volume := retention.Volume{
			Name: v.Name, Path: v.Path, Listener: s.Listener.Namespace + "/" + s.Listener.Name, Leftovers: leftovers,
			Interval: r.Interval(), StaleUploads: r.StaleUploads(),
			Directories: func(rule config.RetentionRule) []retention.Directory { return directoriesOf(s, rule) },
		}
		users := sync.OnceValue(func() map[string]bool { return s.Directories(v.Path) })
		volume.OpenByUser = func(path string) bool { return users()[path] }
		for _, rule := range r.Rules {
			if rule.Volume == v.Name {
				volume.Rules = append(volume.Rules, rule)
			}
		}
		for _, h := range r.Holds {
			if h.Volume == v.Name {
				volume.Holds = append(volume.Holds, h.Path)
			}
		}
		out = append(out, volume)
	}
	return out
}

// directoriesOf returns the directories that a rule applies to. Those of users are taken from the configuration and not from the
// volume, where a directory two levels deep need not belong to a user.
func directoriesOf(s *snapshot.Snapshot, rule config.RetentionRule) []retention.Directory {
	var out []retention.Directory
	switch rule.Scope {
	case config.RetentionOfVolume:
		out = append(out, retention.Directory{Path: rule.SubPath})
	case config.RetentionOfNamespaces:
		last := ""
		for _, account := range s.Accounts() {
			if namespace, _, _ := strings.Cut(account, "/"); namespace != last {
				out, last = append(out, retention.Directory{Path: path.Join(namespace, rule.SubPath)}), namespace
			}
		}
	case config.RetentionOfUsers:
		for _, account := range s.Accounts() {
			out = append(out, retention.Directory{Path: path.Join(account, rule.SubPath), Account: account})
		}
	}
	return out
}
