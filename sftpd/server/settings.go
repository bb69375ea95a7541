package server

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// settings apply to one session. Each is fixed for the session, or live: taken from the configuration in use. They are set
// when the session is admitted, all from one configuration. Live settings that all sessions share, such as the idle timeout,
// are read from the configuration where they are needed.
type settings struct {
	// grant is fixed. A configuration in which the login would no longer succeed ends the session (auth.Recheck).
	grant *auth.Grant
	// mounts are fixed. A change ends the session (event.MountsChanged).
	mounts []vfs.Mount
	// uploads are fixed. Sessions that begin after a change follow it.
	uploads vfs.Uploads
	// receipts is fixed: where the user's receipts are shown, without a path if none are.
	receipts vfs.Mount
	// software is fixed: the identification sent to the client.
	software string
	// user is live: it says when the validity of the user and its keys ends. It is guarded by sessions.
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
		Checksum: up.Checksum == config.ChecksumSHA256,
	}
	if s.Receipts != nil {
		out.receipts = receiptsOf(s, g.Account, out.mounts)
	}
	return out
}

// receiptsPath is where users find their receipts.
const receiptsPath = "/.receipts"

// receiptsOf returns where a user's receipts are shown. If the user has a directory in the same place, it hides the receipts.
func receiptsOf(s *snapshot.Snapshot, account string, mounts []vfs.Mount) vfs.Mount {
	for _, m := range mounts {
		if m.Path == receiptsPath || strings.HasPrefix(m.Path, receiptsPath+"/") {
			return vfs.Mount{}
		}
	}
	volume, dir := receipts.Place(&s.Listener, account)
	return vfs.Mount{Path: receiptsPath, Volume: volume.Path, SubPath: dir, Access: vfs.ReadOnly, Internal: true}
}
