package ociarchive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"path"
	"slices"
	"strings"
)

// File is one file of an image.
type File struct {
	Path string // absolute path in the image
	Mode int64
	Data []byte
}

// packLayer returns the files as a tar and as the same tar compressed. The bytes depend only on the files: sorted by path,
// owned by root, dated 1970, so that equal binaries give an equal image digest.
func packLayer(files []File) (plain, compressed []byte, err error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	made := map[string]bool{"/": true}
	for i, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, nil, fmt.Errorf("file %q: want a clean absolute path inside the image", f.Path)
		}
		if i > 0 && files[i-1].Path == f.Path {
			return nil, nil, fmt.Errorf("file %q is listed twice", f.Path)
		}
		if err := addParents(w, path.Dir(f.Path), made); err != nil {
			return nil, nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: f.Mode, Size: int64(len(f.Data))}
		if err := w.WriteHeader(h); err != nil {
			return nil, nil, err
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(out.Bytes()); err != nil {
		return nil, nil, err
	}
	if err := z.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), zipped.Bytes(), nil
}

// addParents writes the entries of dir and of the folders above it that were not written before.
func addParents(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := addParents(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755})
}
