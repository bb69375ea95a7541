package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pageName is a page as code, scripts and configurations refer to it.
var pageName = regexp.MustCompile(`(?:\.\./)*(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.md\b`)

// ours is the address of the repository's own pages, and address matches any other.
const ours = "https://github.com/sftp-operator/sftp-operator/blob/main/"

var address = regexp.MustCompile(`https?://\S+`)

// TestPagesExist: no file of the repository refers to a page that does not exist, whether relative to the file's folder or to
// the root, or by its name only.
func TestPagesExist(t *testing.T) {
	names := map[string]bool{}
	var files []string
	for file := range strings.SplitSeq(list(t), "\x00") {
		if filepath.Ext(file) == ".md" {
			names[filepath.Base(file)] = true
		}
		switch filepath.Ext(file) {
		case ".go", ".md", ".sh", ".yaml", ".yml", ".tpl", ".txt", "":
			files = append(files, file)
		}
	}
	referred := 0
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue // a listed file that was removed
		}
		if bytes.IndexByte(content, 0) >= 0 || strings.Contains(file, "testdata/") || file == "test/docs/pages_test.go" {
			continue
		}
		text := strings.ReplaceAll(address.ReplaceAllString(strings.ReplaceAll(string(content), ours, ""), ""), "/blob/main/", " ")
		for _, name := range pageName.FindAllString(text, -1) {
			referred++
			if !pageExists(file, name) && !(filepath.Base(name) == name && names[name]) {
				t.Errorf("%s refers to %s, which does not exist", file, name)
			}
		}
	}
	if referred < 100 {
		t.Errorf("only %d references were found", referred)
	}
}

func pageExists(from, name string) bool {
	for _, dir := range []string{filepath.Dir(from), "."} {
		if _, err := os.Stat(filepath.Join(root, dir, name)); err == nil {
			return true
		}
	}
	return false
}

// list returns the files of the repository, including new ones.
func list(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
