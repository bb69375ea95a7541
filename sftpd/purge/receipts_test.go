package purge

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		f = filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The receipts of one user for one listener are counted and removed, and no others.
func TestReceipts(t *testing.T) {
	const of = ".sftpd-events/files/.receipts/partners/"
	dir := t.TempDir()
	mine := []string{of + "team-a/acme/1.json", of + "team-a/acme/1.json.sig", of + "team-a/acme/2.json", of + "team-a/acme/2.json.sig"}
	others := []string{
		of + "team-a/acme-2/1.json", of + "team-b/acme/1.json", ".sftpd-events/files/.receipts/other/team-a/acme/1.json",
		".sftpd-events/team-a/.receipts/partners/team-a/acme/1.json", "team-a/acme/1.json",
	}
	write(t, dir, append(mine, others...)...)
	for _, c := range []struct {
		remove bool
		want   int
	}{{false, 2}, {true, 2}, {true, 0}, {false, 0}} {
		if n, err := Receipts(dir, "files/partners", "team-a/acme", c.remove); err != nil || n != c.want {
			t.Errorf("%d receipts, %v; want %+v", n, err, c)
		}
	}
	if exists(dir, of+"team-a/acme") {
		t.Error("they are still there")
	}
	for _, f := range others {
		if !exists(dir, f) {
			t.Errorf("%s is gone", f)
		}
	}
}

// Names that are not receipts, and links in the place of directories, are refused.
func TestReceiptsRefuses(t *testing.T) {
	const of = ".sftpd-events/files/.receipts/partners"
	dir := t.TempDir()
	write(t, dir, of+"/team-a/globex/1.json", of+"/team-b/x/1.json")
	for link, target := range map[string]string{of + "/team-a/acme": "globex", of + "/team-c": "team-b"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]string{
		{"files/partners", "team-a/acme"},
		{"files/partners", "team-c/x"},
		{"files/partners", "team-a"},
		{"files/partners", "team-a/.."},
		{"files/partners", ""},
		{"files", "team-a/globex"},
		{"files/../partners", "team-a/globex"},
		{"../partners", "team-a/globex"},
		{"", "team-a/globex"},
	} {
		if n, err := Receipts(dir, c[0], c[1], true); err == nil {
			t.Errorf("%q: %d", c, n)
		}
	}
	if !exists(dir, of+"/team-a/globex/1.json") || !exists(dir, of+"/team-b/x/1.json") {
		t.Error("something was removed")
	}
	if _, err := Receipts(filepath.Join(dir, "nowhere"), "files/partners", "team-a/acme", false); err == nil {
		t.Error("a volume that is not there is no error")
	}
}
