// Package check verifies what was published, as an installer would: everything is fetched from the registry by digest, and only
// signed content is trusted.
package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

const (
	maxStatement = 16 << 20 // bytes of a bundle or a bill; those of a release are smaller than 1 MiB
	maxReferrers = 200
	imageConfig  = "application/vnd.oci.image.config.v1+json"
)

// Registry verifies an image or a chart in a registry: its content, its signature and its provenance, and for images the
// bill of materials of each platform.
func Registry(reference name.Digest, key *signing.Verifier, options ...remote.Option) error {
	descriptor, err := remote.Get(reference, options...)
	if err != nil {
		return err
	}
	if !descriptor.MediaType.IsIndex() {
		image, err := descriptor.Image()
		if err != nil {
			return err
		}
		return manifest(reference, image, key, options)
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return err
	}
	if err := statements(reference, key, options, signing.Signature, signing.Provenance); err != nil {
		return err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range list.Manifests {
		image, err := index.Image(d.Digest)
		if err != nil {
			return err
		}
		if err := manifest(reference.Context().Digest(d.Digest.String()), image, key, options); err != nil {
			return err
		}
	}
	return nil
}

// manifest verifies an image for one platform, or a chart.
func manifest(reference name.Digest, image v1.Image, key *signing.Verifier, options []remote.Option) error {
	m, err := image.Manifest()
	if err != nil {
		return fmt.Errorf("%s: %w", reference, err)
	}
	if m.Config.MediaType != imageConfig {
		if err := blobs(image, m); err != nil {
			return fmt.Errorf("%s: %w", reference, err)
		}
		return statements(reference, key, options, signing.Signature, signing.Provenance)
	}
	if err := validate.Image(image); err != nil {
		return fmt.Errorf("%s: %w", reference, err)
	}
	return statements(reference, key, options, signing.Signature, signing.Provenance, signing.SBOM)
}

// blobs reads all of an artifact, which compares each part with its digest.
func blobs(image v1.Image, m *v1.Manifest) error {
	if _, err := image.RawConfigFile(); err != nil {
		return err
	}
	for _, d := range m.Layers {
		layer, err := image.LayerByDigest(d.Digest)
		if err != nil {
			return err
		}
		content, err := layer.Compressed()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	return nil
}

// statements verifies that there is a signed statement of each type about a manifest. A statement signed with another key is
// ignored: anyone who can write to a registry can put one there.
func statements(subject name.Digest, key *signing.Verifier, options []remote.Option, types ...string) error {
	hash, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		return err
	}
	referrers, err := remote.Referrers(subject, options...)
	if err != nil {
		return err
	}
	list, err := referrers.IndexManifest()
	if err != nil {
		return err
	}
	if len(list.Manifests) > maxReferrers {
		return fmt.Errorf("%s: more than %d statements", subject, maxReferrers)
	}
	found := map[string]json.RawMessage{}
	var refused []error
	var bills [][]byte
	for _, d := range list.Manifests {
		artifactType, content, err := document(subject.Context().Digest(d.Digest.String()), options)
		if err != nil {
			return err
		}
		switch artifactType {
		case publish.SBOMType:
			bills = append(bills, content)
		case signing.BundleType:
			statement, err := key.Attestation(content, hash)
			if err != nil {
				refused = append(refused, fmt.Errorf("%s: %w", d.Digest, err))
				continue
			}
			found[statement.PredicateType] = statement.Predicate
		}
	}
	for _, t := range types {
		if found[t] == nil {
			return errors.Join(append([]error{fmt.Errorf("%s: no statement %s signed with the key", subject, t)}, refused...)...)
		}
	}
	for _, bill := range bills {
		if !sameJSON(bill, found[signing.SBOM]) {
			return fmt.Errorf("%s: its bill of materials is not the signed one", subject)
		}
	}
	return nil
}

// document returns the only layer of an artifact, and its type.
func document(reference name.Digest, options []remote.Option) (artifactType string, content []byte, err error) {
	image, err := remote.Image(reference, options...)
	if err != nil {
		return "", nil, err
	}
	m, err := image.Manifest()
	if err != nil {
		return "", nil, err
	}
	if len(m.Layers) != 1 || m.Layers[0].Size > maxStatement {
		return "", nil, fmt.Errorf("%s: want one layer of at most %d bytes", reference, maxStatement)
	}
	layer, err := image.LayerByDigest(m.Layers[0].Digest)
	if err != nil {
		return "", nil, err
	}
	reader, err := layer.Compressed()
	if err != nil {
		return "", nil, err
	}
	defer reader.Close()
	content, err = io.ReadAll(io.LimitReader(reader, maxStatement))
	return m.ArtifactType, content, err
}

func sameJSON(a, b []byte) bool {
	var one, two any
	return json.NewDecoder(bytes.NewReader(a)).Decode(&one) == nil && json.Unmarshal(b, &two) == nil && reflect.DeepEqual(one, two)
}
