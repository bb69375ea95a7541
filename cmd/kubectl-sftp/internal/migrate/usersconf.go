// Package migrate turns the accounts of other SFTP servers, users.conf of atmoz/sftp and authorized_keys files of
// OpenSSH, into SFTPUsers and Secrets, and reports what it could not import and why. It is pure.
package migrate

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// account is one login as it is found in the input.
type account struct {
	login    string
	password string
	hashed   bool // the password is a hash of it
	dirs     []string
	keys     []string
	// where it was first found.
	where string
	// ignore is set when it must not be imported: the reason has been reported.
	ignore bool
}

// UsersConf reads a users.conf file with lines of the form
//
//	user:pass[:e][:uid[:gid[:dir1[,dir2]...]]]
//
// Empty lines and lines that begin with # are skipped. name is the file's name, for the report.
func (m *Migration) UsersConf(name string, data []byte) {
	n := 0
	for raw := range bytes.Lines(data) {
		n++
		line := strings.TrimRight(string(raw), "\r\n")
		if s := strings.TrimSpace(line); s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		m.usersConfLine(fmt.Sprintf("%s:%d", name, n), line)
	}
}

// Fields of a line after the password.
const (
	fieldUID = iota
	fieldGID
	fieldDirs
	fieldCount
)

func (m *Migration) usersConfLine(where, line string) {
	fields := strings.Split(line, ":")
	login := fields[0]
	if _, ok := m.accounts[login]; ok {
		m.reject(where, login, "the login name is in an earlier line; the first one is used")
		return
	}
	a := m.account(login, where)
	if len(fields) == 1 {
		m.reject(where, login, `there is no ":" after the login name; a line is user:pass[:e][:uid[:gid[:dir1[,dir2]...]]]`)
		a.ignore = true
		return
	}
	pass, rest := fields[1], fields[2:]
	encrypted := len(rest) > 0 && rest[0] == "e"
	if encrypted {
		rest = rest[1:]
	}
	if len(rest) > fieldCount {
		m.reject(where, login, "there are more fields than user:pass:e:uid:gid:dirs has; a password cannot contain a colon")
		a.ignore = true
		return
	}
	for len(rest) < fieldCount {
		rest = append(rest, "")
	}
	m.setPassword(a, where, pass, encrypted)
	if rest[fieldUID] != "" || rest[fieldGID] != "" {
		m.ids++
	}
	for dir := range strings.SplitSeq(rest[fieldDirs], ",") {
		m.addDir(a, where, dir)
	}
}

// setPassword sets a clear-text password, or a hash of one that the daemon can verify.
func (m *Migration) setPassword(a *account, where, pass string, encrypted bool) {
	switch {
	case pass == "":
		// In users.conf this means: only keys.
	case encrypted:
		if _, err := password.Parse(pass); err != nil {
			m.reject(where, a.login, fmt.Sprintf("the hash of the password (field e) cannot be used: %v; set a new password with kubectl sftp passwd", err))
			return
		}
		a.password, a.hashed = pass, true
	case len(pass) > password.MaxLength:
		m.reject(where, a.login, fmt.Sprintf("the password has %d bytes, but at most %d are allowed", len(pass), password.MaxLength))
	case strings.ContainsRune(pass, '\r'):
		m.reject(where, a.login, "the password contains a carriage return, which cannot be typed")
	case looksHashed(pass):
		m.reject(where, a.login, "the password looks like a hash without the field e, so no login was possible; set a new one with kubectl sftp passwd")
	default:
		a.password = pass
	}
}

// looksHashed recognizes the formats of crypt(5) that begin with an identifier.
func looksHashed(s string) bool {
	const least = 20
	return len(s) >= least && s[0] == '$' && strings.Count(s, "$") >= 3
}

// maxMounts of an SFTPUser.
const maxMounts = 16

func (m *Migration) addDir(a *account, where, dir string) {
	if dir == "" {
		return
	}
	switch clean := path.Clean("/" + dir); {
	case clean == "/" || strings.Trim(dir, "/") != clean[1:]:
		m.reject(where, a.login, fmt.Sprintf("directory %q is not a plain relative path; the login is imported without it", dir))
	case len(a.dirs) == maxMounts:
		m.reject(where, a.login, fmt.Sprintf("directory %q is one too many: a user has at most %d mounts; the login is imported without it", dir, maxMounts))
	default:
		a.dirs = append(a.dirs, clean[1:])
	}
}
