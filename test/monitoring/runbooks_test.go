package monitoring

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each alert has a section that says what it means, which users are affected, what to check with commands, and what to do.
func TestRunbooks(t *testing.T) {
	sections := map[string]string{}
	for s := range strings.SplitSeq("\n"+string(read(t, "docs/runbooks.md")), "\n## ") {
		name, text, _ := strings.Cut(s, "\n")
		sections[name] = text
	}
	page := string(read(t, "docs/monitoring.md"))
	alerts := 0
	for _, g := range readRules(t) {
		for _, r := range g.Rules {
			alerts++
			text := sections[r.Alert]
			for _, part := range []string{"**Means**", "**Impact:**", "**Look at**", "\n```sh\n", "**Do"} {
				if !strings.Contains(text, part) {
					t.Errorf("the runbook for %s has no %q", r.Alert, part)
				}
			}
			if r.Annotations["runbook_url"] != runbook(r.Alert) {
				t.Errorf("%s leads to %s", r.Alert, r.Annotations["runbook_url"])
			}
			row := "| [" + r.Alert + "](runbooks.md#" + strings.ToLower(r.Alert) + ") | " + r.Labels["severity"] + " |"
			if !strings.Contains(page, row) {
				t.Errorf("docs/monitoring.md has no row %q", row)
			}
			delete(sections, r.Alert)
		}
	}
	if alerts != strings.Count(page, "](runbooks.md#sftp") {
		t.Errorf("docs/monitoring.md has different alerts")
	}
	for name := range sections {
		if strings.HasPrefix(name, "SFTP") {
			t.Errorf("there is a runbook for %s, which is not an alert", name)
		}
	}
}

var grepped = regexp.MustCompile(`grep -m?\d* ?(?:'([^']+)'|"([^"]+)")`)

// The log lines that runbooks look for are ones that the daemon writes.
func TestRunbooksKnowTheLog(t *testing.T) {
	var source strings.Builder
	err := filepath.WalkDir(filepath.Join(root, "sftpd"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		source.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := grepped.FindAllStringSubmatch(string(read(t, "docs/runbooks.md")), -1)
	if len(found) < 4 {
		t.Errorf("only %d were found", len(found))
	}
	for _, m := range found {
		if text := m[1] + m[2]; !strings.Contains(source.String(), text) {
			t.Errorf("nothing logs %q", text)
		}
	}
}
