package interop

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// pair is a file or directory to copy: a path of the client's working directory and an absolute
// path on the server, in the order of the copy.
type pair struct{ from, to string }

// copier moves files both ways. They are there with their full length when it returns.
type copier struct {
	put, get func(a *account, files ...pair) error
}

// driver is what a client can do, in terms that all clients share. What is nil it cannot do: then
// lacks has the reason. Errors are the client's own: what it says of them ends in a non-zero exit
// code or an exception.
type driver struct {
	name  string
	tools []string // programs that must be there
	// setUp prepares an account for this client, for example by converting its key.
	setUp func(a *account) error
	// newKey makes the keys of the daemon and the user. Nil is for Ed25519.
	newKey func(testing.TB) (ssh.Signer, []byte)

	copy copier
	// large is the length of the largest file of the round trips: 300 MiB if it is 0.
	large int64
	// resume goes on where a copy ended.
	resume copier
	// keepTime and keepMode copy along with the modification time, and the permissions.
	keepTime, keepMode copier
	// mirror copies directories. links is what becomes of symbolic links in them.
	mirror copier
	links  links
	// update mirrors once more: what is not newer is not sent, what is gone is deleted.
	update func(a *account, files ...pair) error
	// appendTo puts a file at the end of another.
	appendTo func(a *account, local, remote string) error
	// rename gives a new name that is free, replace one that may not be.
	rename, replace func(a *account, from, to string) error
	// list returns the names in a directory, without "." and "..".
	list func(a *account, dir string) ([]string, error)
	// shows is what list makes of a name. Nil is for clients that show every byte of it.
	shows func(name string) string
	// space returns the size of the file system in bytes.
	space func(a *account) (uint64, error)
	// parallel copies files at the same time. Without it, as many processes of the client do.
	parallel copier

	lacks map[string]string
	also  []special
}

// keys makes keys of the type that the client knows.
func (d *driver) keys() func(testing.TB) (ssh.Signer, []byte) {
	if d.newKey != nil {
		return d.newKey
	}
	return configtest.Key
}

// special is what one client alone does.
type special struct {
	name string
	do   func(t *testing.T, c *client)
}

// links is what a mirror does with symbolic links.
type links string

const (
	linksKept     links = "links stay links"
	linksFollowed links = "links are followed"
	linksLeftOut  links = "links are left out"
	// rclone leaves out those of its own side alone.
	linksFollowedOnServer links = "links are left out on the way up, and followed on the way down"
)

// drivers are the clients of the table.
func drivers() []*driver {
	return []*driver{
		openSSHDriver(), sshfsDriver(), lftpDriver(), rcloneDriver(), curlDriver(), psftpDriver(), fileZillaDriver(),
		paramikoDriver(), asyncSSHDriver(), ssh2Driver(), phpseclibDriver(), netSFTPDriver(), foreignDriver(), jschDriver(), libsshDriver(),
	}
}
