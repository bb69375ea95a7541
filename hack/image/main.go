// Command image builds the container image without a container engine, from existing static binaries:
//
//	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/manager ./cmd/sftpd
//	go run ./hack/image -o bin/image.tar -tag sftp-operator:dev -bin manager=bin/manager -bin sftpd=bin/sftpd
//
// The image holds the binaries at the root, /etc/passwd and /etc/group, runs as 65532:65532 like the Dockerfile's, and
// its entrypoint is the first -bin. Equal binaries give a byte-equal file.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/image/ociarchive"
	"github.com/sftp-operator/sftp-operator/hack/image/recipe"
)

// list is a flag that can be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func main() {
	var tags, bins list
	out := flag.String("o", "bin/image.tar", "the `file` to write")
	flag.Var(&tags, "tag", "the image's `name`, [REGISTRY/]REPOSITORY[:TAG]; may be repeated")
	flag.Var(&bins, "bin", "a binary as `NAME=FILE`: FILE becomes /NAME in the image; may be repeated")
	flag.Parse()

	if err := run(*out, tags, bins); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(out string, tags, bins []string) error {
	var binaries []recipe.Binary
	for _, bin := range bins {
		name, file, ok := strings.Cut(bin, "=")
		if !ok || !binaryName.MatchString(name) {
			return fmt.Errorf("-bin %q: want NAME=FILE", bin)
		}
		binaries = append(binaries, recipe.Binary{Name: name, File: file})
	}
	img, err := recipe.Image(binaries)
	if err != nil {
		return err
	}
	img.Names = tags

	// Written next to the target and renamed: an interrupted run leaves no partial image under the final name.
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(out), filepath.Base(out)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	digest, err := ociarchive.Write(f, img)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return err
	}
	fmt.Printf("%s: %s %s (%s)\n", out, strings.Join(tags, " "), digest, img.Architecture)
	return nil
}

var binaryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
