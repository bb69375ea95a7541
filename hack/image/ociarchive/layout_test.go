package ociarchive

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func writeLayout(t *testing.T, folder string) (index Reference) {
	t.Helper()
	one, two := example(), example()
	one.Created, two.Created = time.Unix(1_700_000_000, 0), time.Unix(1_700_000_000, 0)
	two.Architecture = "arm64"
	layout := NewLayout(folder)
	index, members := layout.Index("v1.2.3", map[string]string{"a": "b"}, one, two)
	layout.Artifact(Artifact{ArtifactType: "text/x", LayerType: "text/x", Layer: []byte("bill"), Subject: &members[0]})
	if err := layout.Close(); err != nil {
		t.Fatal(err)
	}
	return index
}

func TestLayout(t *testing.T) {
	folder := t.TempDir()
	index := writeLayout(t, folder)

	var list struct{ Manifests []descriptor }
	readJSON(t, filepath.Join(folder, "index.json"), &list)
	if len(list.Manifests) != 2 || list.Manifests[0].Digest != index.Digest() || list.Manifests[1].ArtifactType != "text/x" {
		t.Fatalf("index.json lists %+v", list.Manifests)
	}
	var images struct{ Manifests []descriptor }
	readJSON(t, blobFile(folder, index.Digest()), &images)
	if len(images.Manifests) != 2 || images.Manifests[1].Platform.Architecture != "arm64" {
		t.Fatalf("the image index lists %+v", images.Manifests)
	}
	var artifact struct{ Subject descriptor }
	readJSON(t, blobFile(folder, list.Manifests[1].Digest), &artifact)
	if artifact.Subject.Digest != images.Manifests[0].Digest {
		t.Errorf("the artifact is about %s, want %s", artifact.Subject.Digest, images.Manifests[0].Digest)
	}
	names, err := filepath.Glob(filepath.Join(folder, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Base(name); digestOf(data) != "sha256:"+got {
			t.Errorf("blob %s has the digest %s", got, digestOf(data))
		}
	}
}

// TestLayoutIsDeterministic: two layouts of the same images have the same files.
func TestLayoutIsDeterministic(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	writeLayout(t, one)
	writeLayout(t, two)
	err := filepath.WalkDir(one, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(one, path)
		if err != nil {
			return err
		}
		a, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(two, name))
		if err != nil || string(a) != string(b) {
			t.Errorf("%s differs (%v)", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLayoutReportsErrors(t *testing.T) {
	img := example()
	img.Files[0].Path = "relative"
	layout := NewLayout(t.TempDir())
	layout.Index("v1", nil, img)
	if layout.Close() == nil {
		t.Error("an image that cannot be packed: no error")
	}
}

func blobFile(folder, digest string) string {
	return filepath.Join(folder, "blobs", "sha256", digest[len("sha256:"):])
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
