// Package docs tests what the documentation promises: every reason is explained, links lead somewhere, and manifests are valid.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// markdown returns the Markdown files of the repository that people read.
func markdown(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"/*.md", "/charts/*/README.md", "/docs/*.md", "/docs/*/*.md"} {
		found, err := filepath.Glob(root + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages %s: %v", pattern, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// TestReasons: each reason that a condition can have has one heading in docs/troubleshooting.md, and there is no heading for a
// reason that does not exist.
func TestReasons(t *testing.T) {
	reasons := reasonConstants(t)
	if len(reasons) < 30 {
		t.Fatalf("only %d reasons found: %v", len(reasons), reasons)
	}
	explained := map[string]int{}
	quoted := regexp.MustCompile("`([A-Za-z]+)`")
	for line := range strings.Lines(read(t, root+"/docs/troubleshooting.md")) {
		if strings.HasPrefix(line, "### ") {
			for _, match := range quoted.FindAllStringSubmatch(line, -1) {
				explained[match[1]]++
			}
		}
	}
	for name, reason := range reasons {
		if explained[reason] != 1 {
			t.Errorf("docs/troubleshooting.md has %d headings for `%s` (%s), want 1", explained[reason], reason, name)
		}
		delete(explained, reason)
	}
	for heading := range explained {
		t.Errorf("docs/troubleshooting.md explains `%s`, which is not a reason", heading)
	}
}

// reasonConstants finds the constants Reason… of api/v1alpha1 by name.
func reasonConstants(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root+"/api/v1alpha1", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if !strings.HasPrefix(name.Name, "Reason") || i >= len(spec.Values) {
					continue
				}
				if literal, ok := spec.Values[i].(*ast.BasicLit); ok {
					found[name.Name], _ = strconv.Unquote(literal.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?\n```$")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks: relative links lead to files and headings that exist.
func TestLinks(t *testing.T) {
	headings := map[string]map[string]bool{} // by path: many links lead to the same large page
	for _, page := range markdown(t) {
		text := code.ReplaceAllString(fence.ReplaceAllString(read(t, page), ""), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
				continue
			}
			if anchor != "" && headings[path] == nil {
				headings[path] = anchors(read(t, path))
			}
			if anchor != "" && !headings[path][anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, match[1])
			}
		}
	}
}

// anchors returns the names by which links can refer to a page's headings.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// TestManifests: every manifest of this operator's kinds in the samples and in the pages decodes without unknown fields.
func TestManifests(t *testing.T) {
	decoded := 0
	samples, err := filepath.Glob(root + "/config/samples/*.yaml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		decoded += decodeAll(t, sample, read(t, sample))
	}
	for _, page := range markdown(t) {
		for _, block := range fence.FindAllString(read(t, page), -1) {
			for _, manifest := range manifests(block) {
				decoded += decodeAll(t, page, manifest)
			}
		}
	}
	if decoded < 25 {
		t.Errorf("only %d manifests found", decoded)
	}
}

var heredoc = regexp.MustCompile(`(?ms)<<'?EOF'?\n(.*?\n)EOF$`)

// manifests returns the manifests in a fenced block: the whole block if it is YAML, or the here-documents of a shell session.
func manifests(block string) []string {
	if body, isYAML := strings.CutPrefix(block, "```yaml\n"); isYAML {
		return []string{strings.TrimSuffix(body, "```")}
	}
	var found []string
	for _, match := range heredoc.FindAllStringSubmatch(block, -1) {
		found = append(found, match[1])
	}
	return found
}

// decodeAll decodes the manifests of a stream strictly, and returns how many were of this operator's kinds.
func decodeAll(t *testing.T, where, stream string) int {
	t.Helper()
	count := 0
	for document := range strings.SplitSeq("\n"+stream, "\n---") {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Errorf("%s: %v in\n%s", where, err, document)
			continue
		}
		if head.APIVersion != v1alpha1.GroupVersion.String() {
			continue
		}
		kinds := map[string]any{
			"SFTPListener": &v1alpha1.SFTPListener{},
			"SFTPUser":     &v1alpha1.SFTPUser{},
			"SFTPKey":      &v1alpha1.SFTPKey{},
		}
		object, ok := kinds[head.Kind]
		if !ok {
			t.Errorf("%s: there is no kind %q", where, head.Kind)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %v in\n%s", where, err, document)
		}
		count++
	}
	return count
}
