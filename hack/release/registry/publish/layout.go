// Package publish signs what is in the OCI layouts of a release, and pushes them to registries.
package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// SBOMType is the media type of the bills that are attached to images.
const SBOMType = "application/vnd.cyclonedx+json"

const tag = "org.opencontainers.image.ref.name"

// Sign signs a release: in its layouts, the image, the chart and the statements about them, and in a separate file SHA256SUMS,
// which covers the other files. Existing signatures are kept, so sign a release once.
func Sign(dist string, signer *signing.Signer) error {
	provenance, err := os.ReadFile(filepath.Join(dist, "provenance.intoto.json"))
	if err != nil {
		return err
	}
	var statement signing.Statement
	if err := json.Unmarshal(provenance, &statement); err != nil {
		return fmt.Errorf("provenance.intoto.json: %w", err)
	}
	for _, name := range []string{"image", "chart"} {
		if err := signLayout(filepath.Join(dist, name), signer, statement); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		return err
	}
	signed, err := signer.Sign(sums)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dist, "SHA256SUMS.sigstore.json"), signed, 0o644)
}

// signLayout attaches a signature and the provenance to each manifest with a tag, and to those that its index lists, and signs
// the bills that are attached to them.
func signLayout(folder string, signer *signing.Signer, provenance signing.Statement) error {
	path, err := layout.FromPath(folder)
	if err != nil {
		return err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return err
	}
	attest := func(subject v1.Descriptor, predicateType string, predicate []byte) error {
		encoded, err := signer.Attest(signing.About(subject.Digest, predicateType, predicate))
		if err != nil {
			return err
		}
		// The form in which cosign looks for it.
		_, err = Attach(path, subject, signing.BundleType, encoded, map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": predicateType,
		})
		return err
	}
	for _, d := range list.Manifests {
		switch {
		case d.ArtifactType == SBOMType:
			subject, bill, err := readBill(path, d)
			if err != nil {
				return err
			}
			if err := attest(subject, signing.SBOM, bill); err != nil {
				return err
			}
		case d.Annotations[tag] != "":
			for _, subject := range append([]v1.Descriptor{d}, members(path, d)...) {
				if err := attest(subject, signing.Signature, []byte("{}")); err != nil {
					return err
				}
				if err := attest(subject, signing.Provenance, provenance.Predicate); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// members returns what an index lists, and nothing for another manifest.
func members(path layout.Path, d v1.Descriptor) []v1.Descriptor {
	if !d.MediaType.IsIndex() {
		return nil
	}
	data, err := path.Bytes(d.Digest)
	if err != nil {
		return nil
	}
	list, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	return list.Manifests
}

func readBill(path layout.Path, d v1.Descriptor) (subject v1.Descriptor, bill []byte, err error) {
	data, err := path.Bytes(d.Digest)
	if err != nil {
		return subject, nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return subject, nil, err
	}
	if manifest.Subject == nil || len(manifest.Layers) != 1 {
		return subject, nil, fmt.Errorf("%s is not a bill of materials that refers to a manifest", d.Digest)
	}
	bill, err = path.Bytes(manifest.Layers[0].Digest)
	return *manifest.Subject, bill, err
}

// repositories returns where the layouts of a release belong, from images.txt: the repository by the name of the layout.
func repositories(dist string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(dist, "images.txt"))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "@")
		repository := name[:max(0, strings.LastIndex(name, ":"))]
		if strings.Contains(repository, "/charts/") {
			found["chart"] = repository
		} else {
			found["image"] = repository
		}
	}
	return found, nil
}
