// Package recipe defines the content of sftp-operator's container image: static programs at the root, the licenses of
// everything that they contain, and the files that name the user. There is no shell, no C library and no package manager.
package recipe

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sftp-operator/sftp-operator/hack/image/ociarchive"
)

const (
	user   = "65532:65532"
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// Binary is a program of the image.
type Binary struct {
	Name string // in the image: /Name
	File string // on this machine
}

// Image returns the image for some programs. The first is its entrypoint. All must be static and for one architecture, which is
// amd64 or arm64.
func Image(binaries []Binary) (ociarchive.Image, error) {
	if len(binaries) == 0 {
		return ociarchive.Image{}, errors.New("nothing to put in the image: specify at least one program")
	}
	img := ociarchive.Image{User: user, Entrypoint: []string{"/" + binaries[0].Name}, Files: []ociarchive.File{
		{Path: "/etc/passwd", Mode: 0o644, Data: []byte(passwd)},
		{Path: "/etc/group", Mode: 0o644, Data: []byte(group)},
	}}
	for _, b := range binaries {
		data, err := os.ReadFile(b.File)
		if err != nil {
			return img, fmt.Errorf("%s: %w (build it first: CGO_ENABLED=0 go build)", b.Name, err)
		}
		architecture, err := staticArchitecture(b.File)
		if err != nil {
			return img, fmt.Errorf("%s: %s: %w", b.Name, filepath.Base(b.File), err)
		}
		if img.Architecture != "" && img.Architecture != architecture {
			return img, fmt.Errorf("%s is built for %s, but %s for %s; build all programs for the same platform", b.Name, architecture, binaries[0].Name, img.Architecture)
		}
		img.Architecture = architecture
		img.Files = append(img.Files, ociarchive.File{Path: "/" + b.Name, Mode: 0o755, Data: data})
	}
	return img, nil
}

// staticArchitecture returns the architecture for which a static Linux binary is built.
func staticArchitecture(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("not a Linux binary (build with GOOS=linux): %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", errors.New("needs a dynamic loader, which the image does not have: build with CGO_ENABLED=0")
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
