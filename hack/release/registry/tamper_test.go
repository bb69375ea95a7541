package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/check"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// published is a signed release in a registry on loopback.
type published struct {
	key          *signing.Key
	dist         string
	storage      string // the registry's folder of blobs
	image, chart name.Digest
	// moved is the tag of the image, if users find an image there that is not the release's.
	moved *name.Tag
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	return must(signing.NewKey())(t)
}

func verifier(t *testing.T, key *signing.Key) *signing.Verifier {
	t.Helper()
	return must(signing.NewVerifier(key.GetPublicKey()))(t)
}

// signRelease signs a release that is not in a registry.
func signRelease(t *testing.T) *published {
	t.Helper()
	p := &published{key: newKey(t), dist: release(t)}
	if err := publish.Sign(p.dist, signing.WithKey(p.key)); err != nil {
		t.Fatal(err)
	}
	return p
}

// push pushes a signed release to a new registry, which may lack the API for referrers, as ghcr.io does.
func (p *published) push(t *testing.T, referrers bool) {
	t.Helper()
	p.storage = t.TempDir()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(p.storage)), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	pushed := must(publish.Push(t.Context(), p.dist, strings.TrimPrefix(server.URL, "http://")))(t)
	if len(pushed) != 2 {
		t.Fatalf("pushed %v, want the image and the chart", pushed)
	}
	p.image, p.chart = pushed[0], pushed[1]
}

// publishTampered publishes a release after a change that users must notice, and returns it.
func publishTampered(t *testing.T, c tampering) *published {
	t.Helper()
	p := signRelease(t)
	if c.signed != nil {
		c.signed(t, p)
	}
	if c.subject != ofFiles {
		p.push(t, true)
	}
	if c.pushed != nil {
		c.pushed(t, p)
	}
	return p
}

func TestPublished(t *testing.T) {
	p := signRelease(t)
	p.push(t, true)
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

// TestPublishedWithTags: without that API, statements are found by tags.
func TestPublishedWithTags(t *testing.T) {
	p := signRelease(t)
	p.push(t, false)
	for _, reference := range []name.Digest{p.image, p.chart} {
		if err := check.Registry(reference, verifier(t, p.key)); err != nil {
			t.Error(err)
		}
	}
}

// TestTampered: anything that was changed after signing is refused.
func TestTampered(t *testing.T) {
	for _, test := range tamperings {
		t.Run(test.title, func(t *testing.T) {
			p := publishTampered(t, test)
			key := verifier(t, p.key)
			var refused []error
			switch test.subject {
			case ofFiles:
				refused = append(refused, check.Files(p.dist, key))
			case ofImage:
				refused = append(refused, check.Registry(p.image, key))
			case ofChart:
				refused = append(refused, check.Registry(p.chart, key))
			case ofImageAndChart:
				refused = append(refused, check.Registry(p.image, key), check.Registry(p.chart, key))
			}
			for _, err := range refused {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("verify: %v, want an error with %q", err, test.want)
				}
			}
		})
	}
}

// TestMovedTag: anyone who installs by digest gets the release, whatever its tag refers to now.
func TestMovedTag(t *testing.T) {
	p := signRelease(t)
	p.push(t, true)
	digest := p.image
	moveTag(t, p)
	if p.image == digest {
		t.Fatal("the tag was not moved")
	}
	if err := check.Registry(digest, verifier(t, p.key)); err != nil {
		t.Errorf("by digest: %v", err)
	}
}
