// Package chart packages the Helm chart with the version of the release and with its image by digest. `helm package` would
// write the current time into the archive.
package chart

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/archive"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

// Media types of a chart in a registry.
const (
	ConfigType  = "application/vnd.cncf.helm.config.v1+json"
	ContentType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Chart is a packaged chart.
type Chart struct {
	Archive []byte // .tgz
	Config  []byte // Chart.yaml as JSON, the configuration of the chart in a registry
}

// edit replaces what matches in a file of the chart, which must match exactly once.
type edit struct {
	file    string
	pattern *regexp.Regexp
	text    string
}

// Package packages the chart in a folder for a release whose image has a digest.
func Package(folder string, r identity.Release, imageDigest string) (Chart, error) {
	edits := []edit{
		{"Chart.yaml", regexp.MustCompile(`(?m)^version: .*$`), "version: " + r.Number()},
		{"Chart.yaml", regexp.MustCompile(`(?m)^appVersion: .*$`), "appVersion: " + r.Version},
		{"Chart.yaml", regexp.MustCompile(`image: ` + identity.ImageRepository + `:\S+`), "image: " + identity.ImageRepository + ":" + r.Version},
		{"values.yaml", regexp.MustCompile(`(?m)^  repository: .*$`), "  repository: " + identity.ImageRepository},
		{"values.yaml", regexp.MustCompile(`(?m)^  digest: ""$`), "  digest: " + imageDigest},
	}
	var out Chart
	var files []archive.File
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) == ".gotmpl" {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if data, err = apply(edits, filepath.ToSlash(name), data); err != nil {
			return err
		}
		if name == "Chart.yaml" {
			out.Config, err = config(data)
		}
		files = append(files, archive.File{Name: filepath.ToSlash(filepath.Join(identity.Name, name)), Mode: 0o644, Data: data})
		return err
	})
	if err != nil {
		return Chart{}, err
	}
	out.Archive, err = archive.TarGz(files, r.Time)
	return out, err
}

func apply(edits []edit, name string, data []byte) ([]byte, error) {
	for _, e := range edits {
		if e.file != name {
			continue
		}
		if n := len(e.pattern.FindAll(data, -1)); n != 1 {
			return nil, fmt.Errorf("%s: %d places match %s, want 1", name, n, e.pattern)
		}
		data = e.pattern.ReplaceAllLiteral(data, []byte(e.text))
	}
	return data, nil
}

func config(chartYAML []byte) ([]byte, error) {
	var metadata map[string]any
	if err := yaml.Unmarshal(chartYAML, &metadata); err != nil {
		return nil, err
	}
	return json.Marshal(metadata)
}
