package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/check"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// published is a signed release in a registry on loopback.
type published struct {
	key          *signing.Key
	dist         string
	blobs        registry.BlobHandler
	image, chart name.Digest
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	key, err := signing.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func verifier(t *testing.T, key *signing.Key) *signing.Verifier {
	t.Helper()
	v, err := signing.NewVerifier(key.GetPublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// publishRelease signs a release, has change, if given, alter it, and pushes it.
func publishRelease(t *testing.T, change func(p *published)) *published {
	t.Helper()
	p := &published{key: newKey(t), dist: release(t)}
	if err := publish.Sign(p.dist, signing.WithKey(p.key)); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(p)
	}
	storage := t.TempDir()
	p.blobs = registry.NewDiskBlobHandler(storage)
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(p.blobs),
		registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	pushed, err := publish.Push(t.Context(), p.dist, strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if len(pushed) != 2 {
		t.Fatalf("pushed %v, want the image and the chart", pushed)
	}
	p.image, p.chart = pushed[0], pushed[1]
	return p
}

func TestPublished(t *testing.T) {
	p := publishRelease(t, nil)
	key := verifier(t, p.key)
	if err := check.Registry(p.image, key); err != nil {
		t.Errorf("image: %v", err)
	}
	if err := check.Registry(p.chart, key); err != nil {
		t.Errorf("chart: %v", err)
	}
	if err := check.Files(p.dist, key); err != nil {
		t.Errorf("files: %v", err)
	}
	if os.Getenv("RELEASE_DIST") != "" { // a real image and a valid chart
		checkImages(t, p)
		pullWithHelm(t, p)
	}
}

// TestTampered: content that was changed after signing is refused.
func TestTampered(t *testing.T) {
	for title, test := range map[string]struct {
		change func(t *testing.T, p *published)
		chart  bool // verify the chart, not the image
		want   string
	}{
		"another image under the name": {
			change: func(t *testing.T, p *published) { replaceSubject(t, filepath.Join(p.dist, "image")) },
			want:   "no statement",
		},
		"signature of another key": {
			change: func(_ *testing.T, p *published) { p.key = newKey(t) },
			want:   "no statement",
		},
		"chart signed by another key": {
			change: func(_ *testing.T, p *published) { p.key = newKey(t) },
			chart:  true, want: "no statement",
		},
		"another chart under the name": {
			change: func(t *testing.T, p *published) { replaceSubject(t, filepath.Join(p.dist, "chart")) },
			chart:  true, want: "no statement",
		},
		"no signatures": {
			change: func(t *testing.T, p *published) { dropStatements(t, filepath.Join(p.dist, "image"), "") },
			want:   "no statement https://sigstore.dev",
		},
		"no provenance": {
			change: func(t *testing.T, p *published) {
				dropStatements(t, filepath.Join(p.dist, "image"), signing.Provenance)
			},
			want: "no statement https://slsa.dev",
		},
		"no signed bill": {
			change: func(t *testing.T, p *published) { dropStatements(t, filepath.Join(p.dist, "image"), signing.SBOM) },
			want:   "no statement https://cyclonedx.org",
		},
		"another statement with the old signature": {
			change: func(t *testing.T, p *published) { editBundles(t, filepath.Join(p.dist, "image")) },
			want:   "no statement",
		},
		"another bill beside the signed one": {
			change: func(t *testing.T, p *published) { editBills(t, filepath.Join(p.dist, "image")) },
			want:   "not the signed one",
		},
	} {
		t.Run(title, func(t *testing.T) {
			p := publishRelease(t, func(p *published) { test.change(t, p) })
			reference := p.image
			if test.chart {
				reference = p.chart
			}
			err := check.Registry(reference, verifier(t, p.key))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("verify: %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestTamperedFiles: the same for the files.
func TestTamperedFiles(t *testing.T) {
	for title, change := range map[string]func(t *testing.T, p *published){
		"a file":             func(t *testing.T, p *published) { edit(t, filepath.Join(p.dist, "install.yaml")) },
		"the list":           func(t *testing.T, p *published) { edit(t, filepath.Join(p.dist, "SHA256SUMS")) },
		"the signature":      func(t *testing.T, p *published) { edit(t, filepath.Join(p.dist, "SHA256SUMS.sigstore.json")) },
		"the key":            func(_ *testing.T, p *published) { p.key = newKey(t) },
		"a file is missing":  func(t *testing.T, p *published) { remove(t, filepath.Join(p.dist, "install.yaml")) },
		"not signed at all":  func(t *testing.T, p *published) { remove(t, filepath.Join(p.dist, "SHA256SUMS.sigstore.json")) },
		"a path outside it":  func(t *testing.T, p *published) { resign(t, p, strings.Repeat("0", 64)+"  ../../etc/passwd\n") },
		"a digest is no sum": func(t *testing.T, p *published) { resign(t, p, "x  install.yaml\n") },
	} {
		p := &published{key: newKey(t), dist: release(t)}
		if err := publish.Sign(p.dist, signing.WithKey(p.key)); err != nil {
			t.Fatal(err)
		}
		if err := check.Files(p.dist, verifier(t, p.key)); err != nil {
			t.Fatalf("before the change: %v", err)
		}
		change(t, p)
		if check.Files(p.dist, verifier(t, p.key)) == nil {
			t.Errorf("%s: no error", title)
		}
	}
}

// TestTamperedStorage: a registry that returns other bytes than it received.
func TestTamperedStorage(t *testing.T) {
	storage := t.TempDir()
	key, dist := newKey(t), release(t)
	if err := publish.Sign(dist, signing.WithKey(key)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(storage)), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	pushed, err := publish.Push(t.Context(), dist, strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(storage, "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("no blobs in %s: %v", storage, err)
	}
	for _, blob := range blobs {
		data, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(blob, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, reference := range pushed {
		if check.Registry(reference, verifier(t, key)) == nil {
			t.Errorf("%s: no error", reference)
		}
	}
}

func edit(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	middle := len(data) / 2
	data[middle] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// resign writes another SHA256SUMS with a valid signature, as a holder of the key could.
func resign(t *testing.T, p *published, sums string) {
	t.Helper()
	signed, err := signing.WithKey(p.key).Sign([]byte(sums))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"SHA256SUMS": []byte(sums), "SHA256SUMS.sigstore.json": signed} {
		if err := os.WriteFile(filepath.Join(p.dist, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// eachDescriptor changes the list of a layout: each entry is replaced with what change returns, or removed if that is nil.
func eachDescriptor(t *testing.T, folder string, change func(path layout.Path, d v1.Descriptor) *v1.Descriptor) {
	t.Helper()
	file := filepath.Join(folder, "index.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var kept []v1.Descriptor
	for _, d := range list.Manifests {
		if changed := change(layout.Path(folder), d); changed != nil {
			kept = append(kept, *changed)
		}
	}
	list.Manifests = kept
	if data, err = json.Marshal(list); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
