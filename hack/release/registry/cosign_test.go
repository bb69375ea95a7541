//go:build cosign

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// These tests run the commands of docs/verifying.md, with cosign itself, which COSIGN names.

// TestDocumentedCommands: they accept a release, in a registry with or without the API for referrers.
func TestDocumentedCommands(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		p := signRelease(t)
		p.push(t, referrers)
		if line := "-amd64@" + p.platformDigest(t) + "\n"; !strings.Contains(string(must(os.ReadFile(p.file("images.txt")))(t)), line) {
			t.Errorf("images.txt has no line that ends with %s", line)
		}
		for _, c := range documentedWithKey(t) {
			out, err := p.run(t, c.withKey)
			if err != nil {
				t.Errorf("referrers %t: %s: %v\n%s", referrers, c.withKey, err, out)
			}
			t.Logf("$ %s\n%.600s", c.withKey, out)
		}
	}
}

// TestDocumentedCommandsTampered: a change is refused by those commands that the page lists for it, and by no others.
func TestDocumentedCommandsTampered(t *testing.T) {
	for _, test := range tamperings {
		t.Run(test.title, func(t *testing.T) {
			p := publishTampered(t, test)
			for _, c := range documentedWithKey(t) {
				if strings.Contains(c.plain, "$") == (test.subject == ofFiles) {
					continue // it verifies something else
				}
				out, err := p.run(t, c.withKey)
				if want := slices.Contains(test.commands, c.plain); (err != nil) != want {
					t.Errorf("%s: %v, want an error: %t\n%s", c.withKey, err, want, out)
				}
			}
		})
	}
}

// pageCommand is a command of the page, without the flags that name the signer, and with those for a key.
type pageCommand struct{ plain, withKey string }

func documentedWithKey(t *testing.T) (commands []pageCommand) {
	t.Helper()
	lines, withKey := documented(t)
	for _, line := range lines {
		commands = append(commands, pageCommand{strings.Replace(line, signer, "", 1), strings.Replace(line, signer, " "+withKey, 1)})
	}
	return commands
}

// platformDigest returns the digest of the image for amd64.
func (p *published) platformDigest(t *testing.T) string {
	t.Helper()
	for _, d := range must(must(remote.Index(p.image))(t).IndexManifest())(t).Manifests {
		if d.Platform.Architecture == "amd64" {
			return d.Digest.String()
		}
	}
	t.Fatalf("%s has no image for amd64", p.image)
	return ""
}

// run runs a command of the page in the folder with the files. Only loopback addresses can be reached.
func (p *published) run(t *testing.T, command string) (string, error) {
	t.Helper()
	cosign := os.Getenv("COSIGN")
	if filepath.Base(cosign) != "cosign" {
		t.Fatalf("COSIGN must name the program cosign; it is %q", cosign)
	}
	write(t, p.file("release.key.pub"), []byte(must(p.key.GetPublicKeyPem())(t)))
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
	cmd.Dir = p.dist
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATH="+filepath.Dir(cosign)+":"+os.Getenv("PATH"),
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1")
	if p.storage != "" {
		image := p.image.String()
		if p.moved != nil {
			image = p.moved.String()
		}
		cmd.Env = append(cmd.Env, "IMAGE="+image, "CHART="+p.chart.String(),
			"PLATFORM_IMAGE="+p.image.Context().Digest(p.platformDigest(t)).String())
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
