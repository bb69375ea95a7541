package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/image/ociarchive"
)

const pauseImage = "localhost/sftp-operator-pause:1"

// load imports images into containerd, where the kubelet finds them: pods need imagePullPolicy IfNotPresent or Never.
func load(ctx context.Context, s settings, files []string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("load needs root, which owns %s", s.containerdSocket())
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			return err
		}
		out, err := ctr(ctx, s, "images", "import", "--all-platforms", f)
		if err != nil {
			return err
		}
		say("%s", strings.TrimSpace(out))
	}
	return nil
}

// loadPause builds and imports the image of the process that holds a pod's namespaces: there is no registry to pull
// the usual one from.
func loadPause(ctx context.Context, s settings) error {
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	binary := s.path("bin", "pause")
	if err := goBuild(ctx, root, "pause", root, binary, "./hack/cluster/pause", "-s -w"); err != nil {
		return err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	archive := s.path("bin", "pause.tar")
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	_, err = ociarchive.Write(f, ociarchive.Image{
		Names:        []string{pauseImage},
		Architecture: runtime.GOARCH,
		User:         "65535:65535",
		Entrypoint:   []string{"/pause"},
		Files:        []ociarchive.File{{Path: "/pause", Mode: 0o755, Data: data}},
	})
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if _, err := ctr(ctx, s, "images", "import", archive); err != nil {
		return fmt.Errorf("import %s: %w", filepath.Base(archive), err)
	}
	return nil
}
