// Package purge counts and removes what a deleted user has left on a volume: its directory, and its receipts. The caller must make sure
// that the user is gone. It does not follow links: their targets stay.
package purge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Found is what a directory contains, or contained.
type Found struct {
	// Exists reports whether the directory is there.
	Exists bool `json:"exists"`
	// Files counts everything that is not a directory, including links, and Bytes is the sum of the sizes of regular files.
	Files       int   `json:"files"`
	Directories int   `json:"directories"`
	Bytes       int64 `json:"bytes"`
	// Unreadable counts directories that were not read because their mode denies it. Remove makes them accessible first.
	Unreadable int `json:"unreadable,omitempty"`
}

// errLink: a user's directory is never a link, and neither is the one above it.
var errLink = errors.New("is not a directory")

// Count counts what is in a user's directory on a volume, namespace/name.
func Count(volume, directory string) (Found, error) { return run(volume, directory, false) }

// Remove removes a user's directory on a volume, namespace/name, and returns what was in it. After an error, part of it
// remains.
func Remove(volume, directory string) (Found, error) { return run(volume, directory, true) }

func run(volume, directory string, remove bool) (Found, error) {
	var found Found
	if _, _, err := parts(directory); err != nil {
		return found, fmt.Errorf("a user's directory: %w", err)
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return found, err
	}
	defer root.Close()
	if found.Exists, err = isDirectory(root, directory); !found.Exists {
		return found, err
	}
	w := walk{root: root, found: &found, remove: remove}
	if err := fs.WalkDir(root.FS(), directory, w.visit); err != nil {
		return found, err
	}
	if remove {
		return found, root.RemoveAll(directory)
	}
	return found, nil
}

// walk visits the content of a directory.
type walk struct {
	root   *os.Root
	found  *Found
	remove bool
}

// accessible is the mode that the owner of a directory needs to remove its content.
const accessible = 0o700

func (w *walk) visit(path string, d fs.DirEntry, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // removed concurrently
	case errors.Is(err, fs.ErrPermission) && !w.remove:
		w.found.Unreadable++
		return fs.SkipDir
	case err != nil:
		return err
	case d.IsDir():
		w.found.Directories++
		return w.open(path, d)
	}
	w.found.Files++
	if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
		w.found.Bytes += info.Size()
	}
	return nil
}

// open makes accessible a directory that is to be removed: its user may have removed the permissions.
func (w *walk) open(path string, d fs.DirEntry) error {
	if !w.remove {
		return nil
	}
	info, err := d.Info()
	if err != nil || info.Mode().Perm()&accessible == accessible {
		return nil //nolint:nilerr // removing it will return the error
	}
	return w.root.Chmod(path, info.Mode().Perm()|accessible)
}
