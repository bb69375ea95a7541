package purge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// Receipts counts the receipts on a volume for the uploads of a user to a listener, both given as namespace/name, and removes
// them if remove is set.
func Receipts(volume, listener, user string, remove bool) (int, error) {
	namespace, name, err := parts(listener)
	if err != nil {
		return 0, fmt.Errorf("listener %w", err)
	}
	if _, _, err := parts(user); err != nil {
		return 0, fmt.Errorf("user %w", err)
	}
	directory := receipts.Directory(namespace, name, user)
	root, err := os.OpenRoot(volume)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	switch there, err := isDirectory(root, directory); {
	case err != nil:
		return 0, err
	case !there:
		return 0, nil
	}
	entries, err := fs.ReadDir(root.FS(), directory)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, e := range entries {
		if path.Ext(e.Name()) == ".json" { // each has a signature next to it
			count++
		}
	}
	if remove {
		return count, root.RemoveAll(directory)
	}
	return count, nil
}

// parts returns the two names of namespace/name.
func parts(s string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok || !fs.ValidPath(s) || namespace == "." || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%q is not namespace/name", s)
	}
	return namespace, name, nil
}

// isDirectory reports whether a path exists. It is an error if the path, or one above it, is something other than a directory,
// such as a link.
func isDirectory(root *os.Root, name string) (bool, error) {
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := root.Lstat(name[:i])
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !info.IsDir() {
			return false, fmt.Errorf("%s %w", name[:i], errLink)
		}
	}
	return true, nil
}
