package publish

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push pushes the layouts of a release to their repositories, or, if a registry is given, to the repositories with the same
// names there. It returns the references of tagged content, by digest. Content that the registry already has is not sent again.
func Push(ctx context.Context, dist, registry string, options ...remote.Option) ([]name.Digest, error) {
	places, err := repositories(dist)
	if err != nil {
		return nil, err
	}
	var pushed []name.Digest
	for _, layout := range []string{"image", "chart"} {
		place := places[layout]
		if registry != "" {
			_, path, _ := strings.Cut(place, "/")
			place = registry + "/" + path
		}
		repository, err := name.NewRepository(place)
		if err != nil {
			return nil, err
		}
		digests, err := pushLayout(filepath.Join(dist, layout), repository, append(options, remote.WithContext(ctx)))
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", layout, err)
		}
		pushed = append(pushed, digests...)
	}
	return pushed, nil
}

func pushLayout(folder string, repository name.Repository, options []remote.Option) (pushed []name.Digest, err error) {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range list.Manifests {
		digest := repository.Digest(d.Digest.String())
		var reference name.Reference = digest
		if d.Annotations[tag] != "" {
			reference = repository.Tag(d.Annotations[tag])
			pushed = append(pushed, digest)
		}
		if err := pushManifest(index, d, reference, options); err != nil {
			return nil, err
		}
	}
	return pushed, nil
}

func pushManifest(layout v1.ImageIndex, d v1.Descriptor, reference name.Reference, options []remote.Option) error {
	if d.MediaType.IsIndex() {
		index, err := layout.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(reference, index, options...)
	}
	image, err := layout.Image(d.Digest)
	if err != nil {
		return err
	}
	return remote.Write(reference, image, options...)
}
