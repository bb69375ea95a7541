package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// KeyFiles reads the authorized_keys files of a directory. A file's path determines its user:
//
//	USER  USER.pub  USER.keys  USER.authorized_keys
//	USER/authorized_keys  USER/.ssh/authorized_keys  USER/.ssh/authorized_keys2  USER/.ssh/keys/ANY  USER/keys/ANY
//
// Other files are reported. name is the name of the directory, for the report.
func (m *Migration) KeyFiles(name string, dir fs.FS) error {
	return fs.WalkDir(dir, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		where := path.Join(name, file)
		login, ok := ownerOf(file)
		if !ok {
			m.notice(where, "", "skipped: the path does not say whose keys these are")
			return nil
		}
		if !d.Type().IsRegular() {
			m.notice(where, login, "skipped: not a regular file")
			return nil
		}
		if info, err := d.Info(); err == nil && info.Size() > maxFile {
			m.reject(where, login, fmt.Sprintf("the file has more than %d bytes, so it cannot be a file with keys", maxFile))
			return nil
		}
		data, err := fs.ReadFile(dir, file)
		if errors.Is(err, fs.ErrPermission) {
			m.reject(where, login, "the file cannot be read: permission denied")
			return nil
		}
		if err != nil {
			return err
		}
		m.keyFile(where, login, data)
		return nil
	})
}

// maxFile is the size in bytes of a file with more keys than a user can have.
const maxFile = 4 << 20

// ownerOf returns the login name that a path stands for.
func ownerOf(file string) (string, bool) {
	login, rest, nested := strings.Cut(file, "/")
	if !nested {
		for _, suffix := range []string{".pub", ".keys", ".authorized_keys"} {
			if s, ok := strings.CutSuffix(login, suffix); ok {
				return s, s != ""
			}
		}
		return login, !strings.HasPrefix(login, ".")
	}
	switch dir, base := path.Split(rest); {
	case base == "authorized_keys" || base == "authorized_keys2":
		return login, dir == "" || dir == ".ssh/"
	case dir == ".ssh/keys/" || dir == "keys/":
		return login, !strings.HasPrefix(base, ".")
	}
	return "", false
}

func (m *Migration) keyFile(where, login string, data []byte) {
	a := m.account(login, where)
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		m.reject(where, login, "this is a private key: only public halves are imported")
		return
	}
	n, found := 0, false
	for raw := range bytes.Lines(data) {
		n++
		line := strings.TrimSpace(string(raw))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found = true
		m.addKey(a, fmt.Sprintf("%s:%d", where, n), line)
	}
	if !found {
		m.notice(where, login, "the file has no key")
	}
}

// addKey imports one line unchanged, except for options that have no effect here.
func (m *Migration) addKey(a *account, where, line string) {
	kept, dropped := dropNeedless(line)
	key, err := publickey.ParseLine(kept)
	if err == nil {
		err = m.policy.CheckUserKey(key.PublicKey)
	}
	if err != nil {
		m.reject(where, a.login, err.Error())
		return
	}
	fp := key.Fingerprint()
	for _, have := range a.keys {
		if k, err := publickey.ParseLine(have); err == nil && k.Fingerprint() == fp {
			m.notice(where, a.login, "skipped: the user has this key already")
			return
		}
	}
	if len(dropped) > 0 {
		m.notice(where, a.login, "without effect here and left out: "+strings.Join(dropped, ", "))
	}
	m.holders[fp] = append(m.holders[fp], a)
	a.keys = append(a.keys, kept)
}

// needless are options that forbid what no user of this server can do anyway (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Leaving
// them out allows nothing more.
var needless = map[string]bool{
	"restrict": true, "no-pty": true, "no-port-forwarding": true, "no-agent-forwarding": true,
	"no-x11-forwarding": true, "no-user-rc": true, `command="internal-sftp"`: true,
}

func dropNeedless(line string) (kept string, dropped []string) {
	public, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) == 0 {
		return line, nil
	}
	var keep []string
	for _, o := range options {
		if needless[strings.ToLower(o)] {
			dropped = append(dropped, o)
		} else {
			keep = append(keep, o)
		}
	}
	if len(dropped) == 0 {
		return line, nil
	}
	parts := []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))}
	if len(keep) > 0 {
		parts = append([]string{strings.Join(keep, ",")}, parts...)
	}
	if comment != "" {
		parts = append(parts, comment)
	}
	return strings.Join(parts, " "), dropped
}
