package e2e

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// withReceipts makes a listener issue receipts.
func withReceipts(s *v1alpha1.SFTPListenerSpec) {
	s.Uploads.Publish = v1alpha1.PublishOnClose
	s.Uploads.Checksum = v1alpha1.ChecksumSHA256
	s.Uploads.Receipts = &v1alpha1.UploadReceipts{}
}

// fetchReceipts waits until the user of a session finds a number of receipts, and copies them into a directory, as a partner
// would.
func fetchReceipts(t *testing.T, s *session, n int) string {
	t.Helper()
	var names []string
	eventually(t, time.Minute, "the user finds the receipts", func() bool {
		entries, err := s.ReadDir("/.receipts")
		must(t, err)
		names = nil
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return len(names) == 2*n
	})
	dir := t.TempDir()
	for _, name := range names {
		f, err := s.Open("/.receipts/" + name)
		must(t, err)
		data, err := io.ReadAll(f)
		must(t, err)
		must(t, f.Close())
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// verifyReceipts verifies the receipts in a directory with the keys in the cluster, and checks the output.
func verifyReceipts(t *testing.T, l *v1alpha1.SFTPListener, dir string, code int, says string) {
	t.Helper()
	if out, got := plugin(t, l.Namespace, "receipts", "verify", "--listener", l.Name, dir); got != code || !strings.Contains(out, says) {
		t.Errorf("kubectl sftp receipts verify: exit code %d, want %d and %q in:\n%s", got, code, says, out)
	}
}

// receiptOf returns the file of the receipt for a path.
func receiptOf(t *testing.T, dir, path string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	must(t, err)
	at := slices.IndexFunc(files, func(name string) bool {
		data, err := os.ReadFile(name)
		must(t, err)
		return bytes.Contains(data, []byte(`"path":"`+path+`"`))
	})
	if at < 0 {
		t.Fatalf("no receipt for %s among %q", path, files)
	}
	return files[at]
}

// checkReceipts verifies the receipts of a user's uploads, including the one for a path, and checks that a changed receipt and
// a missing one in the middle are detected.
func checkReceipts(t *testing.T, l *v1alpha1.SFTPListener, s *session, n int, path string) {
	t.Helper()
	condition(t, l, v1alpha1.ConditionReceiptsAvailable, "True", v1alpha1.ReasonReceiptsAvailable)
	dir := fetchReceipts(t, s, n)
	verifyReceipts(t, l, dir, 0, "0 problems")

	name := receiptOf(t, dir, path)
	signed, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, bytes.Replace(signed, []byte(`"size":`), []byte(`"size":1`), 1), 0o600))
	verifyReceipts(t, l, dir, 3, "the signature is wrong")
	must(t, os.WriteFile(name, signed, 0o600))
	verifyReceipts(t, l, dir, 0, "0 problems")

	must(t, os.Remove(name))
	must(t, os.Remove(name+".sig"))
	verifyReceipts(t, l, dir, 4, "is missing")
}
