package daemon_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/receipts"
)

// receiptOfUpload is what ada finds: the receipt of her upload, and the one that she had.
var receiptOfUpload = regexp.MustCompile(`^([A-Z2-7]{26})\.json ([A-Z2-7]{26})\.json\.sig one\.json one\.json\.sig$`)

// TestHostileReceipts: whatever a user tries under /.receipts, or has put in its place, the user finds only their own
// receipts there, and can neither change them nor direct an upload there.
func TestHostileReceipts(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("bob", "secret")
	dir.IssueReceipts(t)
	dir.RecordEvents()
	dir.Listener.Events.TemporaryNames = []string{".receipts", "*.part"}
	// Before receipts were issued, or while their volume did not answer, she could use the name.
	if err := os.MkdirAll(dir.Home("ada"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir.Home("ada"), ".receipts")); err != nil {
		t.Fatal(err)
	}
	kept := keep(t, dir, "ada", "one")
	keep(t, dir, "bob", "two")
	d := daemontest.Start(t, dir)
	c := dial(t, d, "ada")
	if have := fmt.Sprint(list(t, c, "/.receipts")); have != "[one.json one.json.sig]" {
		t.Fatalf("she finds %s", have)
	}
	upload(t, c, "/up.part")
	upload(t, c, "/up")

	one, err := c.Open("/.receipts/one.json")
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]error{
		"chmod by handle": one.Chmod(0o777), "truncate by handle": one.Truncate(0), "setstat of it": c.Chmod("/.receipts", 0o777),
		"times": c.Chtimes("/.receipts/one.json", time.Now(), time.Now()), "remove it": c.Remove("/.receipts"), "rename it": c.Rename("/.receipts", "/mine"),
		"publish as it": c.Rename("/up.part", "/.receipts"), "publish in it": c.PosixRename("/up.part", "/.receipts/three.json"),
		"publish as a receipt": c.PosixRename("/up.part", "/.receipts/one.json"), "mkdir": c.Mkdir("/.receipts/dir"), "mkdir as it": c.Mkdir("/.receipts"),
		"symlink in it": c.Symlink("/up", "/.receipts/link"), "symlink as it": c.Symlink("/up", "/.receipts"), "symlink to it": c.Symlink("/.receipts/one.json", "/link"),
		"link out of it": c.Link("/.receipts/one.json", "/link"), "link into it": c.Link("/up", "/.receipts/link"),
	}
	for name, flags := range map[string]int{
		"write": os.O_WRONLY, "read and write": os.O_RDWR, "append": os.O_WRONLY | os.O_APPEND, "truncate": os.O_WRONLY | os.O_TRUNC,
		"create": os.O_WRONLY | os.O_CREATE, "create new": os.O_RDWR | os.O_CREATE | os.O_EXCL,
	} {
		for _, p := range []string{"/.receipts", "/.receipts/one.json", "/.receipts/new", "/.receipts/new.part"} {
			f, err := c.OpenFile(p, flags)
			if err == nil {
				_ = f.Close()
			}
			refused[name+" "+p] = err
		}
	}
	for _, p := range []string{
		"/.receipts/../.sftpd-events", "/.receipts/../.SFTPD-EVENTS/files", "/.receipts/../../bob/two.json", "/.receipts/../bob", "/.receipts/.new",
		"/.receipts/two.json", "/.receipts/../../../../etc/passwd",
	} {
		_, refused["reach "+p] = c.Stat(p)
	}
	for what, err := range refused {
		if err == nil {
			t.Errorf("%s succeeds", what)
		}
	}
	// The upload that was published has a receipt, which is stored a moment later.
	var have []string
	d.Eventually(t, "she finds the receipt of her upload", func() bool { have = list(t, c, "/.receipts"); return len(have) >= 4 })
	if !receiptOfUpload.MatchString(strings.Join(have, " ")) {
		t.Errorf("she finds %s", have)
	}
	if _, err := one.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(one); err != nil || string(raw) != string(kept.Payload) {
		t.Errorf("one.json is %q, %v", raw, err)
	}
	// In a different case, or in another place, it is a name like any other.
	for _, p := range []string{"/.Receipts", "/dir/.receipts"} {
		_ = c.Mkdir(filepath.Dir(p))
		upload(t, c, p)
	}
}

func upload(t *testing.T, c *sftp.Client, path string) {
	t.Helper()
	if err := put(t, c, path, "content").Close(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestManyReceipts: a user with many receipts, on a volume that does not let old ones be removed, can list them; and when they are removed,
// what is being read stays readable. With 100,000 on a busy machine, the list took 5 seconds and the removal 29 (30 November 2026).
func TestManyReceipts(t *testing.T) {
	const many = 10_000
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.IssueReceipts(t)
	want := keep(t, dir, "ada", "one")
	volume, path := receipts.Place(&dir.Listener, "team/ada")
	own := filepath.Join(volume.Path, path)
	old := time.Now().Add(-receipts.MaxAge - time.Hour)
	if err := os.Chtimes(filepath.Join(own, "one.json"), old, old); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if err := os.WriteFile(filepath.Join(own, fmt.Sprintf("r%d.json", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := daemontest.Start(t, dir)
	c := dial(t, d, "ada")
	f, err := c.Open("/.receipts/one.json")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if have := list(t, c, "/.receipts"); len(have) != many+2 {
		t.Errorf("%d files are listed, want %d", len(have), many+2)
	}
	listed := time.Since(began)
	began = time.Now()
	volume, path = receipts.Place(&dir.Listener, "")
	if err := receipts.Open(filepath.Join(volume.Path, path)).Trim("team/ada", time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Logf("RECEIPTS %d files listed in %s, removed in %s", many, listed.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	raw, err := io.ReadAll(f)
	if err != nil || string(raw) != string(want.Payload) {
		t.Errorf("a receipt that is removed while it is read: %q, %v", raw, err)
	}
	if _, err := c.Stat("/.receipts/one.json"); err == nil {
		t.Error("it is still there")
	}
	if have := list(t, c, "/.receipts"); len(have) != receipts.MaxCount {
		t.Errorf("%d are left", len(have))
	}
}
