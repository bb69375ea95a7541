package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// TestPackage packages the chart of the tree.
func TestPackage(t *testing.T) {
	r := identity.Release{Version: "v1.2.3", Time: time.Unix(1_700_000_000, 0)}
	packed, err := Package("../../../charts/sftp-operator", r, digest)
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, packed.Archive)
	for file, lines := range map[string][]string{
		"sftp-operator/Chart.yaml":  {"\nversion: 1.2.3\n", "\nappVersion: v1.2.3\n", "image: " + identity.ImageRepository + ":v1.2.3\n"},
		"sftp-operator/values.yaml": {"\n  digest: " + digest + "\n", "\n  repository: " + identity.ImageRepository + "\n"},
	} {
		for _, line := range lines {
			if !strings.Contains(files[file], line) {
				t.Errorf("%s lacks %q", file, line)
			}
		}
	}
	if !bytes.Contains(packed.Config, []byte(`"version":"1.2.3"`)) {
		t.Errorf("configuration: %s", packed.Config)
	}
	again, err := Package("../../../charts/sftp-operator", r, digest)
	if err != nil || !bytes.Equal(packed.Archive, again.Archive) {
		t.Errorf("packed twice, the bytes differ (%v)", err)
	}
}

// TestPackageRefuses: a chart in which the version or digest cannot be replaced is not published.
func TestPackageRefuses(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(folder+"/values.yaml", []byte("image: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Package(folder, identity.Release{Version: "v1.2.3"}, digest); err == nil {
		t.Error("no error")
	}
}

func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}
