package purge

import (
	"os"
	"path/filepath"
	"testing"
)

// volume returns a volume with two users of a namespace, and links from one to the other.
func volume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"team-a/acme/in/a.csv": "12345", "team-a/acme/b.csv": "123", "team-a/acme/in/.sftpd-upload.c.csv": "1",
		"team-a/globex/keep.csv": "12", "team-b/acme/keep.csv": "1", "team-a/acme-2/keep.csv": "1",
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"team-a/acme/other": "../globex", "team-a/acme/out": "/", "team-a/initech": "globex", "team-c": "team-a",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

func TestPurge(t *testing.T) {
	dir := volume(t)
	want := Found{Exists: true, Files: 5, Directories: 2, Bytes: 9}
	if found, err := Count(dir, "team-a/acme"); err != nil || found != want {
		t.Errorf("%+v %v, want %+v", found, err, want)
	}
	if !exists(dir, "team-a/acme/in/a.csv") {
		t.Fatal("Count removes")
	}
	if found, err := Remove(dir, "team-a/acme"); err != nil || found != want {
		t.Errorf("%+v %v, want %+v", found, err, want)
	}
	if exists(dir, "team-a/acme") {
		t.Error("it is still there")
	}
	for _, name := range []string{"team-a/globex/keep.csv", "team-b/acme/keep.csv", "team-a/acme-2/keep.csv", "team-a/initech"} {
		if !exists(dir, name) {
			t.Errorf("%s is gone", name)
		}
	}
	if found, err := Remove(dir, "team-a/acme"); err != nil || found != (Found{}) {
		t.Errorf("a second time: %+v %v", found, err)
	}
}

// Names that are not a user's directory, and links in their place, are refused.
func TestRefuses(t *testing.T) {
	dir := volume(t)
	for _, name := range []string{
		"", ".", "/", "team-a", "team-a/", "/acme", "./acme", "../acme", "team-a/..", "team-a/.", "team-a/acme/in", "/team-a/acme",
		"team-a/initech", "team-c/acme",
	} {
		if found, err := Remove(dir, name); err == nil {
			t.Errorf("%q: %+v", name, found)
		}
	}
	if !exists(dir, "team-a/acme/in/a.csv") || !exists(dir, "team-a/globex/keep.csv") {
		t.Error("something was removed")
	}
	if _, err := Count(filepath.Join(dir, "nowhere"), "team-a/acme"); err == nil {
		t.Error("a volume that is not there is no error")
	}
}

// A user may have removed the permissions of its own directories.
func TestModes(t *testing.T) {
	if os.Geteuid() == 0 {
		// root ignores modes; the rest of the test shows that they do no harm.
		t.Log("modes deny root nothing")
	}
	dir := volume(t)
	if err := os.Chmod(filepath.Join(dir, "team-a/acme/in"), 0); err != nil {
		t.Fatal(err)
	}
	found, err := Count(dir, "team-a/acme")
	if err != nil || os.Geteuid() != 0 && found.Unreadable != 1 {
		t.Errorf("%+v %v", found, err)
	}
	if found, err := Remove(dir, "team-a/acme"); err != nil || found.Files != 5 || exists(dir, "team-a/acme") {
		t.Errorf("%+v %v", found, err)
	}
}
