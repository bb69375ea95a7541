package docs

import (
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPackageMap: the tables of docs/development/architecture.md name every package of the operator, the daemon and the
// plug-in, and no package that does not exist.
func TestPackageMap(t *testing.T) {
	page := read(t, root+"/docs/development/architecture.md")
	for _, top := range []string{"controllers", "sftpd", "cmd/kubectl-sftp/internal"} {
		named := packagesNamed(t, page, top)
		exist := packagesBelow(t, top)
		if len(exist) < 5 {
			t.Fatalf("only %d packages found below %s: %v", len(exist), top, exist)
		}
		for _, pkg := range exist {
			if !slices.ContainsFunc(named, func(entry string) bool { return covers(entry, pkg) }) {
				t.Errorf("%s/%s is in no table", top, pkg)
			}
		}
		for _, entry := range named {
			if !slices.ContainsFunc(exist, func(pkg string) bool { return covers(entry, pkg) }) {
				t.Errorf("the table of packages below %s names `%s`, which does not exist", top, entry)
			}
		}
	}
}

// packagesNamed returns the first column of the table whose heading is "Below `<top>/`".
func packagesNamed(t *testing.T, page, top string) (named []string) {
	t.Helper()
	_, table, found := strings.Cut(page, "| Below `"+top+"/` |")
	if !found {
		t.Fatalf("there is no table of the packages below %s", top)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	_, rows, _ := strings.Cut(table, "|---|")
	quoted := regexp.MustCompile("`([^`]+)`")
	for row := range strings.Lines(rows) {
		if column := strings.Split(row, "|"); len(column) > 2 {
			for _, match := range quoted.FindAllStringSubmatch(column[1], -1) {
				named = append(named, match[1])
			}
		}
	}
	return named
}

// packagesBelow returns the packages below a directory, except those that only tests use.
func packagesBelow(t *testing.T, top string) (packages []string) {
	t.Helper()
	err := filepath.WalkDir(root+"/"+top, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		pkg, err := filepath.Rel(root+"/"+top, filepath.Dir(file))
		if pkg != "." && !strings.HasSuffix(path.Base(pkg), "test") && !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// covers reports whether an entry of a table is a package, or ends with /… and is the package or one above it.
func covers(entry, pkg string) bool {
	above, all := strings.CutSuffix(entry, "/…")
	return pkg == above || all && strings.HasPrefix(pkg, above+"/")
}
