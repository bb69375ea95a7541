package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	proofRE = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)(?:/[^`]*)?`")
	funcRE  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)\(`)
)

// TestProofsExist checks that the tests that documents cite as proof exist.
func TestProofsExist(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range funcRE.FindAllStringSubmatch(read(t, path), -1) {
			tests[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range proofRE.FindAllStringSubmatch(string(content), -1) {
			if named++; !tests[m[1]] {
				t.Errorf("%s names %s, but there is no such test", filepath.Base(page), m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test")
	}
	// The page about faults lists all of them.
	faults := 0
	for name := range tests {
		if strings.HasPrefix(name, "TestFault") || strings.HasPrefix(name, "TestLongFault") {
			if faults++; !strings.Contains(read(t, root+"/docs/faults.md"), "`"+name) {
				t.Errorf("docs/faults.md does not have %s", name)
			}
		}
	}
	if faults == 0 {
		t.Error("no tests of faults were found")
	}
}
