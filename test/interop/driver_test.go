package interop

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// pair is a file or directory to copy: a path in the client's working directory and an absolute path on the server, in the
// order of the copy.
type pair struct{ from, to string }

// copier moves files both ways. They exist with their full length when it returns.
type copier struct {
	put, get func(a *account, files ...pair) error
}

// driver is what a client can do, in terms that all clients share. A nil function is something it cannot do: then lacks has the
// reason. Errors are the client's own: its report ends in a non-zero exit code or an exception.
type driver struct {
	name  string
	tools []string // required programs
	// setUp prepares an account for this client, for example by converting its key.
	setUp func(a *account) error
	// newKey creates the keys of the daemon and of the user. Nil means Ed25519.
	newKey func(testing.TB) (ssh.Signer, []byte)

	copy copier
	// large is the length of the largest file of the round trips; 0 means 300 MiB.
	large int64
	// resume resumes an interrupted copy.
	resume copier
	// keepTime and keepMode copy the modification time or the permissions as well.
	keepTime, keepMode copier
	// mirror copies directories. links says how it treats symbolic links in them.
	mirror copier
	links  links
	// update mirrors again: files that are not newer are not sent, and deleted ones are deleted.
	update func(a *account, files ...pair) error
	// appendTo appends a file to another.
	appendTo func(a *account, local, remote string) error
	// rename renames to a free name; replace may replace an existing file.
	rename, replace func(a *account, from, to string) error
	// list returns the names in a directory, without "." and "..".
	list func(a *account, dir string) ([]string, error)
	// shows returns how list prints a name. Nil means that the client shows every byte of the name.
	shows func(name string) string
	// space returns the size of the file system in bytes.
	space func(a *account) (uint64, error)
	// parallel copies files at the same time. If it is nil, several client processes do so.
	parallel copier

	lacks map[string]string
	also  []special
}

// keys creates keys of the type that the client supports.
func (d *driver) keys() func(testing.TB) (ssh.Signer, []byte) {
	if d.newKey != nil {
		return d.newKey
	}
	return configtest.Key
}

// special is a row for one client only.
type special struct {
	name string
	do   func(t *testing.T, c *client)
}

// links is how a mirror treats symbolic links.
type links string

const (
	linksKept     links = "links stay links"
	linksFollowed links = "links are followed"
	linksLeftOut  links = "links are skipped"
	// rclone skips only those on its own side.
	linksFollowedOnServer links = "links are skipped in uploads, and followed in downloads"
)

// drivers returns the clients of the table.
func drivers() []*driver {
	return []*driver{
		openSSHDriver(), sshfsDriver(), lftpDriver(), rcloneDriver(), curlDriver(), psftpDriver(), fileZillaDriver(),
		paramikoDriver(), asyncSSHDriver(), ssh2Driver(), phpseclibDriver(), netSFTPDriver(), foreignDriver(), jschDriver(), libsshDriver(),
	}
}
