package ociarchive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
)

func example() Image {
	return Image{
		Names: []string{"sftp-operator:dev"}, Architecture: "amd64", User: "65532:65532",
		Files: []File{
			{Path: "/sftpd", Mode: 0o755, Data: []byte("daemon")},
			{Path: "/etc/passwd", Mode: 0o644, Data: []byte("passwd")},
			{Path: "/etc/group", Mode: 0o644, Data: []byte("group")},
		},
	}
}

// untar returns the names in order and the contents of a tar.
func untar(t *testing.T, r io.Reader) (names []string, data map[string][]byte) {
	t.Helper()
	data = map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return names, data
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if data[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteIsDeterministicAndOrderDoesNotMatter(t *testing.T) {
	var one, two bytes.Buffer
	if _, err := Write(&one, example()); err != nil {
		t.Fatal(err)
	}
	img := example()
	slices.Reverse(img.Files)
	if _, err := Write(&two, img); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two writes of the same image differ")
	}
}

func TestWriteHoldsWhatItsManifestSays(t *testing.T) {
	var out bytes.Buffer
	digest, err := Write(&out, example())
	if err != nil {
		t.Fatal(err)
	}
	_, blobs := untar(t, &out)

	var manifests []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(blobs["manifest.json"], &manifests); err != nil {
		t.Fatal(err)
	}
	if got := manifests[0].RepoTags; !slices.Equal(got, []string{"docker.io/library/sftp-operator:dev"}) {
		t.Errorf("RepoTags = %q", got)
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(blobs["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if got := index.Manifests[0].Digest; got != digest {
		t.Errorf("the index names %s, Write returned %s", got, digest)
	}
	zipped, err := gzip.NewReader(bytes.NewReader(blobs[manifests[0].Layers[0]]))
	if err != nil {
		t.Fatal(err)
	}
	names, files := untar(t, zipped)
	if want := []string{"etc/", "etc/group", "etc/passwd", "sftpd"}; !slices.Equal(names, want) {
		t.Errorf("layer = %q, want %q", names, want)
	}
	if string(files["sftpd"]) != "daemon" {
		t.Errorf("/sftpd = %q", files["sftpd"])
	}
	var config struct{ Config struct{ User string } }
	if err := json.Unmarshal(blobs[manifests[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("user = %q", config.Config.User)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(*Image){
		"no name":        func(i *Image) { i.Names = nil },
		"bad name":       func(i *Image) { i.Names = []string{"Upper:x"} },
		"relative path":  func(i *Image) { i.Files[0].Path = "sftpd" },
		"path above /":   func(i *Image) { i.Files[0].Path = "/../sftpd" },
		"the same twice": func(i *Image) { i.Files[1].Path = i.Files[0].Path },
	} {
		img := example()
		change(&img)
		if _, err := Write(io.Discard, img); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFullName(t *testing.T) {
	for in, want := range map[string]string{
		"sftp-operator":                  "docker.io/library/sftp-operator:latest",
		"sftp-operator:dev":              "docker.io/library/sftp-operator:dev",
		"someone/sftp-operator:1.2":      "docker.io/someone/sftp-operator:1.2",
		"docker.io/sftp-operator:1":      "docker.io/library/sftp-operator:1",
		"localhost/pause:1":              "localhost/pause:1",
		"localhost:5000/a/b":             "localhost:5000/a/b:latest",
		"ghcr.io/o/sftp-operator:v0.1.0": "ghcr.io/o/sftp-operator:v0.1.0",
	} {
		if got, err := FullName(in); err != nil || got != want {
			t.Errorf("FullName(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "a b", "-x:1", "x:", "x:a:b"} {
		if got, err := FullName(in); err == nil {
			t.Errorf("FullName(%q) = %q, want an error", in, got)
		}
	}
}
