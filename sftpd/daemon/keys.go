package daemon

import (
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/outbox"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// keysEnding returns the keys that expire after one time but not after another.
func (d *Daemon) keysEnding(after, until time.Time) (out []outbox.Key) {
	s := d.loader.Current()
	if s == nil {
		return nil
	}
	s.KeysEnding(after, until, func(u *snapshot.User, k *snapshot.Key) {
		out = append(out, outbox.Key{Account: u.Account, UID: u.UID, Login: u.Username, Fingerprint: k.Fingerprint, NotAfter: k.NotAfter})
	})
	return out
}
