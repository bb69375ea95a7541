package chart

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestValuesAreUsed: every value is used by a template, and every value that a template uses has a default.
func TestValuesAreUsed(t *testing.T) {
	var values object
	if err := yaml.Unmarshal([]byte(read(t, chartDir+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	leaves, known := map[string]bool{}, map[string]bool{}
	collect("", values, leaves, known)

	used := map[string]bool{}
	reference := regexp.MustCompile(`\.Values((?:\.\w+)+)`)
	err := filepath.WalkDir(chartDir+"/templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, match := range reference.FindAllStringSubmatch(read(t, path), -1) {
			name := strings.TrimPrefix(match[1], ".")
			if !known[name] {
				t.Errorf("%s uses %s, which values.yaml does not have", path, name)
			}
			used[name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for leaf := range leaves {
		if !used[leaf] && !parentUsed(leaf, used) {
			t.Errorf("no template uses the value %s", leaf)
		}
	}
}

// collect gathers the paths of all values, and of those without nested ones.
func collect(prefix string, values object, leaves, known map[string]bool) {
	for key, value := range values {
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		known[path] = true
		if below, ok := value.(object); ok && len(below) > 0 {
			collect(path, below, leaves, known)
			continue
		}
		leaves[path] = true
	}
}

// parentUsed reports whether a template uses a whole map that contains the value.
func parentUsed(path string, used map[string]bool) bool {
	for {
		i := strings.LastIndex(path, ".")
		if i < 0 {
			return false
		}
		path = path[:i]
		if used[path] {
			return true
		}
	}
}
