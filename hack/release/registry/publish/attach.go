package publish

import (
	"bytes"
	"encoding/json"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const emptyType = "application/vnd.oci.empty.v1+json"

// Attach adds a document about a manifest to a layout, and returns the manifest that refers to both.
func Attach(
	path layout.Path, subject v1.Descriptor, mediaType string, document []byte, annotations map[string]string,
) (v1.Descriptor, error) {
	config, err := writeBlob(path, emptyType, []byte("{}"))
	if err != nil {
		return v1.Descriptor{}, err
	}
	layer, err := writeBlob(path, types.MediaType(mediaType), document)
	if err != nil {
		return v1.Descriptor{}, err
	}
	encoded, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: mediaType,
		Config: config, Layers: []v1.Descriptor{layer},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: annotations,
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := writeBlob(path, types.OCIManifestSchema1, encoded)
	if err != nil {
		return d, err
	}
	d.ArtifactType = mediaType
	return d, path.AppendDescriptor(d)
}

func writeBlob(path layout.Path, mediaType types.MediaType, data []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, path.WriteBlob(digest, io.NopCloser(bytes.NewReader(data)))
}
