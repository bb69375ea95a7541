package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

const (
	tagName       = "org.opencontainers.image.ref.name"
	predicateName = "dev.sigstore.bundle.predicateType"
)

// manifestOf returns the manifest of an artifact in a layout.
func manifestOf(t *testing.T, path layout.Path, d v1.Descriptor) *v1.Manifest {
	t.Helper()
	return must(v1.ParseManifest(bytes.NewReader(must(path.Bytes(d.Digest))(t))))(t)
}

// eachDescriptor changes the list of a layout: each entry is replaced with what change returns, or removed if that is nil.
func eachDescriptor(t *testing.T, folder string, change func(path layout.Path, d v1.Descriptor) *v1.Descriptor) {
	t.Helper()
	file := filepath.Join(folder, "index.json")
	list := must(v1.ParseIndexManifest(bytes.NewReader(must(os.ReadFile(file))(t))))(t)
	var kept []v1.Descriptor
	for _, d := range list.Manifests {
		if changed := change(layout.Path(folder), d); changed != nil {
			kept = append(kept, *changed)
		}
	}
	list.Manifests = kept
	if err := os.WriteFile(file, must(json.Marshal(list))(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceSubject puts another image or chart under each tag, and leaves all statements unchanged.
func replaceSubject(t *testing.T, folder string) {
	t.Helper()
	other := t.TempDir()
	if filepath.Base(folder) == "image" {
		writeImages(t, other)
	} else {
		writeChart(t, other, "another")
	}
	var replacement v1.Descriptor
	eachDescriptor(t, other, func(_ layout.Path, d v1.Descriptor) *v1.Descriptor {
		if d.Annotations[tagName] != "" {
			replacement = d
		}
		return &d
	})
	if err := copyBlobs(other, folder); err != nil {
		t.Fatal(err)
	}
	eachDescriptor(t, folder, func(_ layout.Path, d v1.Descriptor) *v1.Descriptor {
		if d.Annotations[tagName] != "" {
			replacement.Annotations = d.Annotations
			return &replacement
		}
		return &d
	})
}

// moveStatements attaches all signed statements to what has a tag now, and to the images in it.
func moveStatements(t *testing.T, folder string) {
	t.Helper()
	var subjects []v1.Descriptor
	var statements []*v1.Manifest
	eachDescriptor(t, folder, func(path layout.Path, d v1.Descriptor) *v1.Descriptor {
		switch {
		case d.Annotations[tagName] != "":
			subjects = append(subjects, d)
			subjects = append(subjects, must(v1.ParseIndexManifest(bytes.NewReader(must(path.Bytes(d.Digest))(t))))(t).Manifests...)
		case d.ArtifactType == signing.BundleType:
			statements = append(statements, manifestOf(t, path, d))
		}
		return &d
	})
	path := layout.Path(folder)
	for _, subject := range subjects {
		for _, s := range statements {
			must(publish.Attach(path, subject, signing.BundleType, must(path.Bytes(s.Layers[0].Digest))(t), s.Annotations))(t)
		}
	}
}

// moveTag moves the tag of the image to another one, which has no statements.
func moveTag(t *testing.T, p *published) {
	t.Helper()
	folder := t.TempDir()
	digest := writeImages(t, folder)
	other := must(must(layout.ImageIndexFromPath(folder))(t).ImageIndex(digest))(t)
	eachDescriptor(t, p.layout("image"), func(_ layout.Path, d v1.Descriptor) *v1.Descriptor {
		if tag := d.Annotations[tagName]; tag != "" {
			moved := p.image.Context().Tag(tag)
			p.moved = &moved
		}
		return &d
	})
	if err := remote.WriteIndex(*p.moved, other); err != nil {
		t.Fatal(err)
	}
	p.image = p.image.Context().Digest(digest.String())
}

// editStorage changes every blob in the registry, not their digests.
func editStorage(t *testing.T, p *published) {
	t.Helper()
	blobs := must(filepath.Glob(filepath.Join(p.storage, "sha256", "*")))(t)
	if len(blobs) == 0 {
		t.Fatalf("no blobs in %s", p.storage)
	}
	for _, blob := range blobs {
		edit(t, blob)
	}
}

// dropStatements removes the signed statements of one type, or all.
func dropStatements(t *testing.T, folder, predicateType string) {
	t.Helper()
	eachDescriptor(t, folder, func(path layout.Path, d v1.Descriptor) *v1.Descriptor {
		if d.ArtifactType != signing.BundleType {
			return &d
		}
		if predicateType == "" || manifestOf(t, path, d).Annotations[predicateName] == predicateType {
			return nil
		}
		return &d
	})
}

// editBundles changes what is signed in each bundle, and keeps its signature.
func editBundles(t *testing.T, folder string) {
	t.Helper()
	eachDescriptor(t, folder, func(path layout.Path, d v1.Descriptor) *v1.Descriptor {
		if d.ArtifactType != signing.BundleType {
			return &d
		}
		m := manifestOf(t, path, d)
		var bundle struct {
			MediaType            string          `json:"mediaType"`
			VerificationMaterial json.RawMessage `json:"verificationMaterial"`
			Envelope             struct {
				Payload     []byte          `json:"payload"`
				PayloadType string          `json:"payloadType"`
				Signatures  json.RawMessage `json:"signatures"`
			} `json:"dsseEnvelope"`
		}
		if err := json.Unmarshal(must(path.Bytes(m.Layers[0].Digest))(t), &bundle); err != nil {
			t.Fatal(err)
		}
		bundle.Envelope.Payload = bytes.Replace(bundle.Envelope.Payload, []byte(`"predicate":{`), []byte(`"predicate":{"x":1,`), 1)
		bundle.Envelope.Payload = bytes.Replace(bundle.Envelope.Payload, []byte(`1,}`), []byte(`1}`), 1)
		changed := must(publish.Attach(path, *m.Subject, signing.BundleType, must(json.Marshal(bundle))(t), m.Annotations))(t)
		return &changed
	})
}

// editBills puts other bills next to the signed ones.
func editBills(t *testing.T, folder string) {
	t.Helper()
	eachDescriptor(t, folder, func(path layout.Path, d v1.Descriptor) *v1.Descriptor {
		if d.ArtifactType != publish.SBOMType {
			return &d
		}
		m := manifestOf(t, path, d)
		changed := must(publish.Attach(path, *m.Subject, publish.SBOMType, []byte(`{"bomFormat":"CycloneDX","components":[]}`), nil))(t)
		return &changed
	})
}

func copyBlobs(from, to string) error {
	blobs, err := filepath.Glob(filepath.Join(from, "blobs", "sha256", "*"))
	if err != nil {
		return err
	}
	for _, blob := range blobs {
		data, err := os.ReadFile(blob)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, "blobs", "sha256", filepath.Base(blob)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
