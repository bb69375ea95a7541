package receipts

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// Modes of directories and files: another pod may run as another user of the volume's group.
const (
	dirMode  = 0o770
	fileMode = 0o660
)

const (
	jsonSuffix = ".json"
	sigSuffix  = ".sig"
	// newDir is the directory for files that are being written. No namespace can have its name.
	newDir = ".new"
)

// Place returns the volume on which a listener's receipts are kept, and the directory of all of them below it, or of one user's,
// whose account is namespace/name.
func Place(l *config.Listener, account string) (v config.Volume, subPath string) {
	v = l.Volumes[0]
	if named, ok := l.Volume(l.Events.Volume); ok {
		v = named
	}
	return v, Directory(l.Namespace, l.Name, account)
}

// Directory returns where the receipts of a listener, or those of one user, whose account is namespace/name, are on a volume.
func Directory(namespace, listener, account string) string {
	return path.Join(".sftpd-events", namespace, ".receipts", listener, account)
}

// Store is a directory of receipts. Its methods may be called concurrently for different users.
type Store struct{ dir string }

// Open returns the store in a directory. It makes no system call.
func Open(dir string) *Store { return &Store{dir} }

// Dir returns the store's directory.
func (s *Store) Dir() string { return s.dir }

// Put writes receipts of a user to the disk. It skips those that are there already, so an interrupted call can be repeated.
func (s *Store) Put(account string, envelopes []*receipt.Envelope) error {
	dir, err := s.userDir(account)
	if err != nil {
		return err
	}
	for _, d := range []string{filepath.Join(s.dir, newDir), dir} {
		if err := makeDirs(d); err != nil {
			return err
		}
	}
	for _, e := range envelopes {
		if err := s.put(dir, e); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// Check returns an error for what can never be put, whatever the state of the volume: a receipt of a later release, or
// something that is not a receipt.
func Check(account string, e *receipt.Envelope) error {
	_, err := receipt.Decode(e.Payload)
	if err == nil {
		_, err = new(Store).userDir(account)
	}
	return err
}

func (s *Store) userDir(account string) (string, error) {
	namespace, name, ok := strings.Cut(account, "/")
	for _, part := range []string{namespace, name} {
		if part == "" || strings.HasPrefix(part, ".") || strings.Contains(part, "/") {
			ok = false
		}
	}
	if !ok {
		return "", fmt.Errorf("%q is not a user's account", account)
	}
	return filepath.Join(s.dir, namespace, name), nil
}

// put writes the two files of a receipt, the signature first: a receipt that can be seen has one.
func (s *Store) put(dir string, e *receipt.Envelope) error {
	r, err := receipt.Decode(e.Payload)
	if err != nil {
		return err
	}
	name := r.ID + jsonSuffix
	switch have, err := os.ReadFile(filepath.Join(dir, name)); {
	case err == nil && bytes.Equal(have, e.Payload):
		return nil
	case err == nil:
		// After a kill, two pods have settled the same upload one after the other. Both receipts are valid, and each belongs to a
		// chain.
		name = fmt.Sprintf("%s.%s-%d%s", r.ID, r.Chain, r.Sequence, jsonSuffix)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	at := r.Published
	for _, f := range []struct {
		name string
		data []byte
	}{{name + sigSuffix, []byte(e.SSHSig)}, {name, e.Payload}} {
		temp := filepath.Join(s.dir, newDir, rand.Text())
		if err := writeFile(temp, f.data); err != nil {
			return err
		}
		_ = os.Chtimes(temp, at, at) // not every volume has times; they are for people, and determine what is removed first
		if err := os.Rename(temp, filepath.Join(dir, f.name)); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_ = f.Chmod(fileMode) // the umask must not keep other pods out
	_, err = f.Write(data)
	if err == nil {
		err = syncFile(f)
	}
	return errors.Join(err, f.Close())
}

// syncFile writes a file to the disk if the volume supports that.
func syncFile(f *os.File) error {
	err := fsync(f)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// fsync is the system call. Tests replace it.
var fsync = (*os.File).Sync

func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFile(f)
}

// makeDirs creates a directory and those above it that are missing. Only those that it creates get the mode and are written
// to the disk.
func makeDirs(dir string) error {
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		if err := makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	_ = os.Chmod(dir, dirMode) // not every volume has modes
	return syncDir(filepath.Dir(dir))
}
