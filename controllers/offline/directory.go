package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// volumesDir is the folder of a configuration directory that stands for the volumes.
const volumesDir = "volumes"

// VolumePath returns the path of a volume in a rendered directory.
func VolumePath(name string) string { return filepath.Join(volumesDir, name) }

// ReadPrevious reads what an earlier run wrote into dir. It returns nothing if the
// directory does not exist.
func ReadPrevious(dir string) (Previous, error) {
	set, err := config.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Previous{}, nil
	}
	if err != nil {
		return Previous{}, fmt.Errorf("%s contains other files, or a damaged configuration; use an empty directory: %w", dir, err)
	}
	p := Previous{Settings: &set.Listener, HostKeys: set.HostKeys, Passwords: map[string]*config.Password{}}
	if set.Listener.Receipts.On() {
		if p.ReceiptKey, err = os.ReadFile(filepath.Join(dir, config.ReceiptKeyFile)); err != nil {
			return Previous{}, err
		}
	}
	for _, s := range set.Shards {
		p.Shards = append(p.Shards, s.Data)
	}
	for i := range set.Users {
		if pw := set.Users[i].Password; pw != nil {
			p.Passwords[set.Users[i].UID] = pw
		}
	}
	return p, nil
}

// Write writes a configuration into dir, so that a daemon that watches it can load it: the
// settings, which name the other files, come last. The volumes' folders are created.
func Write(dir string, files render.Files, volumes []config.Volume) error {
	for _, v := range volumes {
		if err := os.MkdirAll(filepath.Join(dir, v.Path), 0o770); err != nil { //nolint:gosec // shared with the daemon's group
			return err
		}
	}
	for i, data := range files.Shards {
		if err := replace(dir, render.ShardFile(i), data); err != nil {
			return err
		}
	}
	for name, data := range files.Config {
		if name == config.ListenerFile {
			continue
		}
		if err := replace(dir, name, data); err != nil {
			return err
		}
	}
	return replace(dir, config.ListenerFile, files.Config[config.ListenerFile])
}

// replace writes a file atomically.
func replace(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
