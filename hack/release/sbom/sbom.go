// Package sbom writes software bills of materials in the format of CycloneDX 1.6, from what the compiler recorded in a
// binary.
package sbom

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 uses it to derive UUIDs from names
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
	"github.com/sftp-operator/sftp-operator/hack/release/licenses"
)

type document struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []*component `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string     `json:"timestamp"`
	Component *component `json:"component"`
}

type component struct {
	Type       string       `json:"type"`
	Ref        string       `json:"bom-ref"`
	Name       string       `json:"name"`
	Version    string       `json:"version,omitempty"`
	Hashes     []hash       `json:"hashes,omitempty"`
	Licenses   []license    `json:"licenses,omitempty"`
	PackageURL string       `json:"purl,omitempty"`
	Parts      []*component `json:"components,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// Document returns the bill of materials of binaries. Its subject is the binary or, if there are several, the product that they
// form. Equal binaries give equal bytes. It fails for a file that Go did not build.
func Document(r identity.Release, subject string, files []string, known []licenses.License) ([]byte, error) {
	ids := map[string][]string{}
	for _, l := range known {
		ids[l.Module] = l.IDs
	}
	programs, libraries, dependencies, err := read(r, files, ids)
	if err != nil {
		return nil, err
	}
	top := programs[0]
	if len(programs) > 1 {
		top = &component{Type: "container", Ref: subject, Name: subject, Version: r.Version, Parts: programs}
		all := dependency{Ref: subject}
		for _, p := range programs {
			all.DependsOn = append(all.DependsOn, p.Ref)
		}
		dependencies = append(dependencies, all)
	}
	d := document{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:   metadata{Timestamp: r.Time.Format(time.RFC3339), Component: top},
		Components: libraries, Dependencies: dependencies,
	}
	d.Serial = serial(d)
	out, err := json.MarshalIndent(d, "", "  ")
	return append(out, '\n'), err
}

func read(r identity.Release, files []string, ids map[string][]string) (programs, libraries []*component, dependencies []dependency, err error) {
	seen := map[string]*component{}
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("what the compiler recorded: %w", err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, nil, err
		}
		sum := sha256.Sum256(content)
		name := info.Path[strings.LastIndex(info.Path, "/")+1:]
		program := &component{
			Type: "application", Ref: name, Name: name, Version: r.Version,
			Hashes:     []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
			Licenses:   named("Apache-2.0"),
			PackageURL: "pkg:golang/" + info.Path + "@" + r.Version,
		}
		programs = append(programs, program)
		parts := dependency{Ref: name}
		add := func(path, version string, licenses []string) {
			ref := "pkg:golang/" + path + "@" + version
			seen[ref] = &component{Type: "library", Ref: ref, Name: path, Version: version, Licenses: named(licenses...), PackageURL: ref}
			parts.DependsOn = append(parts.DependsOn, ref)
		}
		add("std", strings.TrimPrefix(info.GoVersion, "go"), ids["std"])
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			add(m.Path, m.Version, ids[m.Path])
		}
		dependencies = append(dependencies, parts)
	}
	for _, c := range seen {
		libraries = append(libraries, c)
	}
	slices.SortFunc(libraries, func(a, b *component) int { return strings.Compare(a.Ref, b.Ref) })
	return programs, libraries, dependencies, nil
}

func named(ids ...string) (licenses []license) {
	for _, id := range ids {
		var l license
		l.License.ID = id
		licenses = append(licenses, l)
	}
	return licenses
}

// serial returns a UUID that follows from the document: version 5 of RFC 9562.
func serial(d document) string {
	encoded, err := json.Marshal(d)
	if err != nil {
		panic(err) // it contains only strings and numbers
	}
	sum := sha1.Sum(encoded) //nolint:gosec // see above
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
