package server

import (
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// settings are what one session goes by. Each is fixed for the session, or live, which is to say that of the configuration in
// use. They are made when the session is admitted, all of one configuration. What is the same for all sessions and live, such
// as the idle timeout, is read from the configuration wherever it is needed.
type settings struct {
	// grant is fixed. A configuration in which the login would not succeed any more ends the session (auth.Recheck).
	grant *auth.Grant
	// mounts are fixed. Others end the session (event.MountsChanged).
	mounts []vfs.Mount
	// uploads are fixed. Sessions that begin after a change follow it.
	uploads vfs.Uploads
	// software is fixed: the identification that the client is told.
	software string
	// user is live: when its and its keys' times end. It belongs to sessions.
	user *snapshot.User
}

func newSettings(s *snapshot.Snapshot, u *snapshot.User, g *auth.Grant) *settings {
	out := &settings{grant: g, user: u, software: handshake.Identification(s.Listener.SoftwareVersion)}
	for _, m := range g.Mounts {
		out.mounts = append(out.mounts, vfs.Mount{
			Path: m.Path, Volume: m.Dir, SubPath: m.SubPath, Access: vfs.Access(m.Access),
			ListNames: m.ListNames, IgnoreAttributes: m.IgnoreAttributes,
		})
	}
	up := s.Listener.Uploads
	out.uploads = vfs.Uploads{
		OnClose: up.Publish == config.PublishOnClose, DeleteIncomplete: up.Incomplete == config.IncompleteDelete, Sync: up.SyncOnClose,
	}
	return out
}
