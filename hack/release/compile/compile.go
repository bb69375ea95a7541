// Package compile builds programs for other platforms, in a way that gives equal bytes on every machine.
package compile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Platform is an operating system and an architecture, as Go spells them.
type Platform struct{ OS, Architecture string }

// String returns OS/ARCHITECTURE.
func (p Platform) String() string { return p.OS + "/" + p.Architecture }

// Program is a command of this module, built for a platform.
type Program struct {
	Name     string // the folder in cmd/
	Platform Platform
	File     string
}

// Build builds commands for a platform into folder/OS/ARCHITECTURE. Settings of the caller's environment that would change
// the result are replaced.
func Build(folder, version string, platform Platform, names ...string) ([]Program, error) {
	out := filepath.Join(folder, platform.OS, platform.Architecture)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w -X main.version=" + version, "-o", out + string(filepath.Separator)}
	programs := make([]Program, 0, len(names))
	for _, name := range names {
		arguments = append(arguments, "./cmd/"+name)
		file := filepath.Join(out, name)
		if platform.OS == "windows" {
			file += ".exe"
		}
		programs = append(programs, Program{Name: name, Platform: platform, File: file})
	}
	if _, err := run(platform, arguments...); err != nil {
		return nil, fmt.Errorf("build for %s: %w", platform, err)
	}
	return programs, nil
}

// Package is a package that a program contains.
type Package struct {
	Module string // path@version, or "std"
	Folder string // of the package
	TopDir string // of the module
}

// Packages returns the packages in commands on a platform, except those of this module.
func Packages(platform Platform, names ...string) ([]Package, error) {
	root, err := run(Platform{}, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	const format = `{{if .Standard}}std	{{.Dir}}	{{else if not .Module.Main}}{{.Module.Path}}@{{.Module.Version}}	{{.Dir}}	{{.Module.Dir}}{{end}}`
	arguments := []string{"list", "-deps", "-f", format}
	for _, name := range names {
		arguments = append(arguments, "./cmd/"+name)
	}
	out, err := run(platform, arguments...)
	if err != nil {
		return nil, err
	}
	var packages []Package
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 3 {
			continue
		}
		if fields[0] == "std" { // packages that it vendors have no root in the list
			fields[2] = strings.TrimSpace(root)
		}
		packages = append(packages, Package{Module: fields[0], Folder: fields[1], TopDir: fields[2]})
	}
	return packages, nil
}

// GoVersion returns the version of the compiler, such as go1.26.8.
func GoVersion() (string, error) {
	out, err := run(Platform{}, "env", "GOVERSION")
	return strings.TrimSpace(out), err
}

// ownSettings are variables that decide what is built, or how.
var ownSettings = []string{
	"CGO_ENABLED", "GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64", "GOFIPS140", "GOWORK", "GODEBUG",
}

func run(platform Platform, arguments ...string) (string, error) {
	cmd := exec.Command("go", arguments...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.Contains(ownSettings, name)
	})
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off")
	if platform != (Platform{}) {
		cmd.Env = append(cmd.Env, "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", arguments[0], err)
	}
	return string(out), nil
}
