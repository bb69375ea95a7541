package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// checkImages pulls the image of each platform: it runs as an unprivileged user, has no programs other than the project's, and
// lists the license of every module that the compiler recorded in them, with the text.
func checkImages(t *testing.T, p *published) {
	t.Helper()
	index := must(remote.Index(p.image))(t)
	for _, d := range must(index.IndexManifest())(t).Manifests {
		image := must(index.Image(d.Digest))(t)
		config := must(image.ConfigFile())(t).Config
		if config.User != "65532:65532" || config.Labels["org.opencontainers.image.licenses"] == "" || config.Labels["org.opencontainers.image.revision"] == "" {
			t.Errorf("%s: user %q, labels %v", d.Platform, config.User, config.Labels)
		}
		files := filesOf(t, image)
		modules := map[string]bool{"std,": true}
		for name, data := range files {
			switch {
			case name == "/manager" || name == "/sftpd":
				info := must(buildinfo.Read(bytes.NewReader(data)))(t)
				for _, m := range info.Deps {
					modules[m.Path+","+m.Version] = true
				}
			case !strings.HasPrefix(name, "/licenses/") && name != "/etc/passwd" && name != "/etc/group":
				t.Errorf("%s: the image contains %s", d.Platform, name)
			}
		}
		if len(modules) < 10 || len(files["/licenses/LICENSE"]) == 0 {
			t.Errorf("%s: %d modules, and a license of %d bytes", d.Platform, len(modules), len(files["/licenses/LICENSE"]))
		}
		checkLicenses(t, d.Platform.String(), files, modules)
	}
}

// checkLicenses compares the list of licenses in an image with the modules that it should list, PATH,VERSION.
func checkLicenses(t *testing.T, platform string, files map[string][]byte, modules map[string]bool) {
	t.Helper()
	rows := must(csv.NewReader(bytes.NewReader(files["/licenses/modules.csv"])).ReadAll())(t)
	texts := 0
	listed := map[string]bool{}
	for _, row := range rows[1:] {
		module := row[0] + "," + row[1]
		listed[module] = true
		if !modules[module] || row[2] == "" {
			t.Errorf("%s: modules.csv has %q; the programs have that module: %t", platform, row, modules[module])
		}
		folder := "/licenses/" + strings.TrimSuffix(row[0]+"@"+row[1], "@") + "/"
		found := 0
		for name, data := range files {
			if strings.HasPrefix(name, folder) && len(bytes.TrimSpace(data)) > 0 {
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s: no text of a license in %s", platform, folder)
		}
		texts += found
	}
	for module := range modules {
		if !listed[module] {
			t.Errorf("%s: modules.csv lacks %s, which the programs contain", platform, module)
		}
	}
	t.Logf("%s: %d modules with %d texts", platform, len(listed), texts)
}

// filesOf returns the content of an image by absolute path.
func filesOf(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	files := map[string][]byte{}
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		switch header.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			files[path.Join("/", header.Name)] = must(io.ReadAll(archive))(t)
		default:
			t.Errorf("%s is neither a file nor a folder", header.Name)
		}
	}
}
