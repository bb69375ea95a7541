// Package ociarchive writes a one-layer container image to a tar file without a container engine. The file is an OCI image
// layout with a Docker manifest next to it, so containerd (`ctr images import`), `docker load`, `podman load` and `skopeo copy
// oci-archive:` all read it.
package ociarchive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"
	"time"
)

// Image is what an image is made of.
type Image struct {
	Names        []string // each [REGISTRY/]REPOSITORY[:TAG]
	Architecture string   // as Go spells it: amd64, arm64
	User         string   // UID:GID
	Entrypoint   []string
	Labels       map[string]string
	Created      time.Time // omitted if zero
	Files        []File
}

// descriptor refers to a blob. ArtifactType is that of a manifest.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type object map[string]any

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// Write writes the image to w and returns the digest of its manifest. Equal images give equal bytes.
func Write(w io.Writer, img Image) (digest string, err error) {
	if len(img.Names) == 0 {
		return "", errors.New("the image has no name: specify at least one")
	}
	names := make([]string, len(img.Names))
	for i, n := range img.Names {
		if names[i], err = FullName(n); err != nil {
			return "", err
		}
	}
	built, err := assemble(img)
	if err != nil {
		return "", err
	}

	var named []descriptor
	for _, n := range names {
		named = append(named, descriptor{
			MediaType: manifestType, Digest: digestOf(built.manifest), Size: len(built.manifest),
			Platform: &platform{Architecture: img.Architecture, OS: "linux"},
			Annotations: map[string]string{
				"io.containerd.image.name":          n,
				"org.opencontainers.image.ref.name": n[strings.LastIndex(n, ":")+1:],
			},
		})
	}

	archive := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{blobPath(built.config), built.config},
		{blobPath(built.layer), built.layer},
		{blobPath(built.manifest), built.manifest},
		{"index.json", encode(object{"schemaVersion": 2, "mediaType": indexType, "manifests": named})},
		{"manifest.json", encode([]object{{"Config": blobPath(built.config), "RepoTags": names, "Layers": []string{blobPath(built.layer)}}})},
		{"oci-layout", encode(object{"imageLayoutVersion": "1.0.0"})},
	} {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return "", err
		}
		if _, err := archive.Write(f.data); err != nil {
			return "", err
		}
	}
	return digestOf(built.manifest), archive.Close()
}

// blobs are the documents of one image.
type blobs struct{ config, layer, manifest []byte }

func assemble(img Image) (blobs, error) {
	plain, layer, err := packLayer(img.Files)
	if err != nil {
		return blobs{}, err
	}
	// encoding/json sorts the keys of maps, so the documents are deterministic too.
	document := object{
		"architecture": img.Architecture,
		"os":           "linux",
		"config": object{
			"User":       img.User,
			"Entrypoint": img.Entrypoint,
			"Env":        []string{"PATH=/"},
			"WorkingDir": "/",
			"Labels":     img.Labels,
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{digestOf(plain)}},
	}
	if !img.Created.IsZero() {
		document["created"] = img.Created.UTC().Format(time.RFC3339)
	}
	config := encode(document)
	manifest := object{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        descriptor{MediaType: configType, Digest: digestOf(config), Size: len(config)},
		"layers":        []descriptor{{MediaType: layerType, Digest: digestOf(layer), Size: len(layer)}},
	}
	return blobs{config, layer, encode(manifest)}, nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only strings, numbers and slices of them are ever encoded here
	}
	return b
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blobPath(b []byte) string {
	return path.Join("blobs", strings.Replace(digestOf(b), ":", "/", 1))
}
