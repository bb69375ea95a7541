package ociarchive

import (
	"errors"
	"os"
	"path/filepath"
)

// Layout is an OCI image layout in a folder: images for several architectures, charts, and documents that refer to them.
type Layout struct {
	folder string
	named  []descriptor
	err    error
}

// Reference names a manifest of a layout.
type Reference struct{ d descriptor }

// Digest returns the digest of the manifest, sha256:….
func (r Reference) Digest() string { return r.d.Digest }

// NewLayout starts a layout in a folder, which is created if it does not exist.
func NewLayout(folder string) *Layout {
	l := &Layout{folder: folder}
	l.err = os.MkdirAll(filepath.Join(folder, "blobs", "sha256"), 0o755)
	return l
}

// Index adds images of one version, one for each architecture, as an image index with a tag. It returns the index and the
// images in their order. The Names of the images are not used.
func (l *Layout) Index(tag string, annotations map[string]string, images ...Image) (index Reference, members []Reference) {
	var descriptors []descriptor
	for _, img := range images {
		built, err := assemble(img)
		l.err = errors.Join(l.err, err)
		l.blob(configType, built.config)
		l.blob(layerType, built.layer)
		d := l.blob(manifestType, built.manifest)
		d.Platform = &platform{Architecture: img.Architecture, OS: "linux"}
		descriptors = append(descriptors, d)
		members = append(members, Reference{d})
	}
	document := object{"schemaVersion": 2, "mediaType": indexType, "manifests": descriptors}
	if len(annotations) > 0 {
		document["annotations"] = annotations
	}
	index = Reference{l.blob(indexType, encode(document))}
	l.name(tag, index.d)
	return index, members
}

// Artifact is a manifest of a document that is not an image: a chart, or a statement about an image.
type Artifact struct {
	Tag          string // of the artifact, or empty
	ArtifactType string // media type of the artifact; empty if the type of the configuration specifies it
	ConfigType   string // media type of Config; both empty for the empty configuration
	Config       []byte
	LayerType    string
	Layer        []byte
	Subject      *Reference // the manifest that it is about, or nil
	Annotations  map[string]string
}

// Artifact adds an artifact.
func (l *Layout) Artifact(a Artifact) Reference {
	if a.ConfigType == "" {
		a.ConfigType, a.Config = "application/vnd.oci.empty.v1+json", []byte("{}")
	}
	document := object{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        l.blob(a.ConfigType, a.Config),
		"layers":        []descriptor{l.blob(a.LayerType, a.Layer)},
	}
	if a.ArtifactType != "" {
		document["artifactType"] = a.ArtifactType
	}
	if a.Subject != nil {
		d := a.Subject.d
		document["subject"] = descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	}
	if len(a.Annotations) > 0 {
		document["annotations"] = a.Annotations
	}
	d := l.blob(manifestType, encode(document))
	d.ArtifactType = a.ArtifactType
	l.name(a.Tag, d)
	return Reference{d}
}

// Close writes the list of what the layout holds, and returns the first errors of all calls.
func (l *Layout) Close() error {
	l.write("index.json", encode(object{"schemaVersion": 2, "mediaType": indexType, "manifests": l.named}))
	l.write("oci-layout", encode(object{"imageLayoutVersion": "1.0.0"}))
	return l.err
}

// name lists a manifest in the layout's index, with its tag if it has one.
func (l *Layout) name(tag string, d descriptor) {
	if tag != "" {
		d.Annotations = map[string]string{"org.opencontainers.image.ref.name": tag}
	}
	l.named = append(l.named, d)
}

func (l *Layout) blob(mediaType string, data []byte) descriptor {
	l.write(blobPath(data), data)
	return descriptor{MediaType: mediaType, Digest: digestOf(data), Size: len(data)}
}

func (l *Layout) write(name string, data []byte) {
	if l.err == nil {
		l.err = os.WriteFile(filepath.Join(l.folder, name), data, 0o644)
	}
}
