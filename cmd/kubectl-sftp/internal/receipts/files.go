package receipts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// files compares files below a directory with their latest receipts. Links that lead out of it are not followed.
func (r *Report) files(dir string, all []found) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	expected, err := latest(all)
	if err != nil {
		return err
	}
	for _, f := range expected {
		path, err := f.FullPath()
		if err != nil {
			return err
		}
		kind, detail, err := compare(root, strings.TrimPrefix(path, "/"), f)
		switch {
		case err != nil:
			return fmt.Errorf("%q: %w", path, err)
		case detail == "":
			r.Files++
		default:
			r.Problems = append(r.Problems, Problem{Kind: kind, File: f.file, Path: path, Detail: detail})
		}
	}
	return nil
}

// compare returns what is wrong with a file, "" for nothing.
func compare(root *os.Root, name string, want found) (kind Kind, detail string, err error) {
	if want.PathLength > 0 {
		return NoFile, "the path in the receipt was truncated", nil
	}
	f, err := root.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NoFile, "the file does not exist", nil
	case errors.Is(err, fs.ErrPermission):
		return "", "", err
	case err != nil:
		// A client chose the path: a file may be where it had a directory, or a link that leads out. The other files count all the same.
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err
		}
		return NoFile, fmt.Sprintf("the file cannot be opened: %v", err), nil
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", "", err
	case !info.Mode().IsRegular():
		return NoFile, "it is not a regular file", nil
	case info.Size() != want.Size:
		return OtherContent, fmt.Sprintf("the file has %d bytes, but %d were uploaded", info.Size(), want.Size), nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", "", err
	}
	if have := hex.EncodeToString(sum.Sum(nil)); have != want.SHA256 {
		return OtherContent, fmt.Sprintf("the file has the SHA-256 %s, but the upload had %s", have, want.SHA256), nil
	}
	return "", "", nil
}
