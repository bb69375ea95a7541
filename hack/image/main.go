// Command image builds the container image without a container engine, from static binaries that are there already:
//
//	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/manager ./cmd/sftpd
//	go run ./hack/image -o bin/image.tar -tag sftp-operator:dev -bin manager=bin/manager -bin sftpd=bin/sftpd
//
// The image holds the binaries at the root, /etc/passwd and /etc/group, runs as 65532:65532 like the Dockerfile's, and
// its entrypoint is the first -bin. Equal binaries give a byte-equal file.
package main

import (
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/image/ociarchive"
)

const (
	user   = "65532:65532"
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
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
	if len(bins) == 0 {
		return errors.New("nothing to put in the image: give -bin NAME=FILE")
	}
	img := ociarchive.Image{Names: tags, User: user, Files: []ociarchive.File{
		{Path: "/etc/passwd", Mode: 0o644, Data: []byte(passwd)},
		{Path: "/etc/group", Mode: 0o644, Data: []byte(group)},
	}}
	for _, b := range bins {
		file, arch, err := readBinary(b)
		if err != nil {
			return err
		}
		if img.Architecture != "" && img.Architecture != arch {
			return fmt.Errorf("-bin %s is built for %s, the ones before it for %s: build all for one", b, arch, img.Architecture)
		}
		img.Architecture = arch
		if img.Entrypoint == nil {
			img.Entrypoint = []string{file.Path}
		}
		img.Files = append(img.Files, file)
	}

	// Written beside the target and renamed: an interrupted run leaves no half image under the final name.
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

// readBinary reads what a -bin names, and refuses one that cannot run in an image without a C library.
func readBinary(bin string) (file ociarchive.File, arch string, err error) {
	name, source, ok := strings.Cut(bin, "=")
	if !ok || !binaryName.MatchString(name) {
		return file, "", fmt.Errorf("-bin %q: want NAME=FILE", bin)
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return file, "", fmt.Errorf("-bin %s: %w (build it first: CGO_ENABLED=0 go build)", bin, err)
	}
	if arch, err = staticArchitecture(source); err != nil {
		return file, "", fmt.Errorf("-bin %s: %w", bin, err)
	}
	return ociarchive.File{Path: "/" + name, Mode: 0o755, Data: data}, arch, nil
}

// staticArchitecture returns the architecture that a static Linux binary is built for.
func staticArchitecture(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("not a Linux binary (build with GOOS=linux): %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", errors.New("needs a dynamic loader, and the image has none: build with CGO_ENABLED=0")
		}
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("built for %s: only amd64 and arm64 are supported", f.Machine)
}
