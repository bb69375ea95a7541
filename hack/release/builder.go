package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/release/archive"
	"github.com/sftp-operator/sftp-operator/hack/release/compile"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
	"github.com/sftp-operator/sftp-operator/hack/release/provenance"
)

const checksums = "SHA256SUMS"

// builder builds a release, step by step.
type builder struct {
	identity.Release
	result          string // the folder of the finished release
	out, work       string // where it is built, along with what is needed in the process
	images, plugins []compile.Platform

	imageDigest string // of the index
	published   []provenance.Subject
	install     []byte // manifests
}

// prepare creates the folder to build in, next to that of the result. It fails if the result's place contains something that is
// not a release.
func (b *builder) prepare() error {
	entries, err := os.ReadDir(b.result)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(b.result, checksums)); err != nil {
			return fmt.Errorf("%s is neither empty nor a release: choose a different folder", b.result)
		}
	}
	b.out = b.result + ".partial"
	return errors.Join(os.RemoveAll(b.out), os.MkdirAll(b.out, 0o755))
}

// finish puts the release into its place, instead of an earlier one.
func (b *builder) finish() error {
	err := errors.Join(os.RemoveAll(b.result), os.Rename(b.out, b.result))
	b.out = b.result
	return err
}

func (b *builder) write(name string, data []byte) error {
	file := filepath.Join(b.out, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// layouts are folders of content that is named by digests, which are in the list of images. Signing adds to them.
var layouts = []string{"image", "chart"}

// files returns the files of the release by name, except those of the layouts.
func (b *builder) files() (names []string, err error) {
	err = filepath.WalkDir(b.out, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.out, path)
		switch {
		case err != nil:
		case entry.IsDir() && slices.Contains(layouts, name):
			return fs.SkipDir
		case !entry.IsDir():
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	return names, err
}

func (b *builder) provenance() error {
	version, err := compile.GoVersion()
	if err != nil {
		return err
	}
	names, err := b.files()
	if err != nil {
		return err
	}
	subjects := b.published
	for _, name := range names {
		sum, err := b.sum(name)
		if err != nil {
			return err
		}
		subjects = append(subjects, provenance.SHA256(name, sum))
	}
	statement, err := provenance.Statement(b.Release, version, subjects)
	if err != nil {
		return err
	}
	return b.write("provenance.intoto.json", statement)
}

// checksums lists what is published in registries, by digest, and then all files, in the format of sha256sum.
func (b *builder) checksums() error {
	var published strings.Builder
	for _, p := range b.published {
		published.WriteString(p.Name + "@sha256:" + p.Digest["sha256"] + "\n")
	}
	if err := b.write("images.txt", []byte(published.String())); err != nil {
		return err
	}
	names, err := b.files()
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, name := range names {
		sum, err := b.sum(name)
		if err != nil {
			return err
		}
		list.WriteString(sum + "  " + name + "\n")
	}
	return b.write(checksums, []byte(list.String()))
}

func (b *builder) sum(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(b.out, name))
	if err != nil {
		return "", err
	}
	return sumOf(data), nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// report prints what was built.
func (b *builder) report(w io.Writer) error {
	names, err := b.files()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s of commit %s\n", b.Version, b.Commit)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(b.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%10d  %s\n", info.Size(), name)
	}
	for _, p := range b.published {
		fmt.Fprintf(w, "%s@sha256:%s\n", p.Name, p.Digest["sha256"])
	}
	return nil
}

// pack returns files as the usual archive of a platform, with its file extension.
func (b *builder) pack(platform compile.Platform, files []archive.File) (data []byte, extension string, err error) {
	if platform.OS == "windows" {
		data, err = archive.Zip(files, b.Time)
		return data, ".zip", err
	}
	data, err = archive.TarGz(files, b.Time)
	return data, ".tar.gz", err
}
