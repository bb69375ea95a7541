// Command release builds everything in a release into a folder, without a container engine, and without any network access
// except to fetch Go modules:
//
//	go run ./hack/release -version v0.1.0 -o dist
//
// The same commit, version and compiler produce identical bytes, on any machine and at any time. Signatures, which differ every
// time, are added by hack/release/registry.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sftp-operator/sftp-operator/hack/release/compile"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

// platforms of the image and of the plug-in.
var (
	imagePlatforms  = []compile.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	pluginPlatforms = []compile.Platform{
		{OS: "darwin", Architecture: "amd64"},
		{OS: "darwin", Architecture: "arm64"},
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64"},
		{OS: "windows", Architecture: "amd64"},
		{OS: "windows", Architecture: "arm64"},
	}
)

func main() {
	version := flag.String("version", "", "the `version`, such as v0.1.0")
	out := flag.String("o", "dist", "the `folder` to write, which must be absent or an earlier release")
	quick := flag.Bool("quick", false, "build for linux/amd64 only, to check the process")
	dirty := flag.Bool("dirty", false, "build even if files differ from the commit, to try a change")
	flag.Parse()
	if err := run(*version, *out, *quick, *dirty); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version, out string, quick, dirty bool) error {
	release, err := identity.Of(version)
	if err != nil {
		return err
	}
	if release.Dirty && !dirty {
		return errors.New("files differ from the commit: commit them, or pass -dirty to try a change")
	}
	b := &builder{Release: release, result: filepath.Clean(out), images: imagePlatforms, plugins: pluginPlatforms}
	if quick {
		only := compile.Platform{OS: "linux", Architecture: "amd64"}
		b.images, b.plugins = []compile.Platform{only}, []compile.Platform{only}
	}
	if b.work, err = os.MkdirTemp("", "release-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	if err := b.prepare(); err != nil {
		return err
	}
	for _, step := range []func() error{b.image, b.plugin, b.chart, b.manifests, b.bundle, b.provenance, b.checksums, b.finish} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.report(os.Stdout)
}
