package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// release returns a folder with an unsigned release: a copy of the one in RELEASE_DIST (hack/release/check.sh), or else a small
// one of the same form.
func release(t *testing.T) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	if from := os.Getenv("RELEASE_DIST"); from != "" {
		if err := os.CopyFS(dist, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return dist
	}
	image, chart := filepath.Join(dist, "image"), filepath.Join(dist, "chart")
	index := writeImages(t, image)
	members := must(must(must(layout.ImageIndexFromPath(image))(t).ImageIndex(index))(t).IndexManifest())(t).Manifests
	packed := writeChart(t, chart, "chart")
	statement, err := json.Marshal(signing.About(index, signing.Provenance, []byte(`{"buildDefinition":{}}`)))
	if err != nil {
		t.Fatal(err)
	}
	manifests := []byte("kind: Namespace\n")
	plugin := []byte("an archive")
	list := fmt.Appendf(nil, "%x  install.yaml\n%x  kubectl-sftp_v1_linux_amd64.tar.gz\n", sha256.Sum256(manifests), sha256.Sum256(plugin))
	for name, data := range map[string][]byte{
		"provenance.intoto.json": statement,
		"install.yaml":           manifests,
		"images.txt":             fmt.Appendf(nil, "example.org/o/i:v1-amd64@%s\nexample.org/o/i:v1@%s\nexample.org/o/charts/i:1@%s\n", members[0].Digest, index, packed),
		"SHA256SUMS":             list,

		"kubectl-sftp_v1_linux_amd64.tar.gz": plugin,
	} {
		if err := os.WriteFile(filepath.Join(dist, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dist
}

func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// writeImages writes an index of two images, each with a bill, and returns its digest.
func writeImages(t *testing.T, folder string) v1.Hash {
	t.Helper()
	path := must(layout.Write(folder, empty.Index))(t)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var members []v1.Descriptor
	for _, architecture := range []string{"amd64", "arm64"} {
		image := mutate.ConfigMediaType(mutate.MediaType(must(random.Image(100, 1))(t), types.OCIManifestSchema1), types.OCIConfigJSON)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
		members = append(members, v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Digest: must(image.Digest())(t), Size: must(image.Size())(t),
		})
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v1"})); err != nil {
		t.Fatal(err)
	}
	for _, member := range members {
		must(publish.Attach(path, member, publish.SBOMType, []byte(`{"bomFormat":"CycloneDX"}`), nil))(t)
	}
	return must(index.Digest())(t)
}

func writeChart(t *testing.T, folder, text string) v1.Hash {
	t.Helper()
	path := must(layout.Write(folder, empty.Index))(t)
	const content = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	image = must(mutate.AppendLayers(image, static.NewLayer([]byte(text), content)))(t)
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "1"})); err != nil {
		t.Fatal(err)
	}
	return must(image.Digest())(t)
}
