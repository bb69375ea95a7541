package sftp

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestCopiesAreCounted: bytes copied by copy-data appear in the events of both files, as does the user who copied; a refused
// copy names both files too.
func TestCopiesAreCounted(t *testing.T) {
	tr, dir := tree(t, vfs.ReadWrite)
	if err := os.WriteFile(filepath.Join(dir, "from"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got events
	c, _, _ := dialRaw(t, tr, Options{Observe: got.observe})
	from, to := c.open("from", flagRead), c.open("./to", flagWrite|flagCreate)
	for _, x := range []struct {
		off, n uint64
		from   string
		want   Status
	}{
		{0, 4, from, StatusOK},
		{4, 0, from, StatusOK},
		{1 << 63, 1, from, StatusBadMessage},
		{0, 1, "none", StatusFailure},
	} {
		if got := c.status(typeExtended, "copy-data", x.from, x.off, x.n, to, uint64(0)); x.want == StatusOK && got != StatusOK || x.want != StatusOK && got == StatusOK {
			t.Errorf("copy-data from %d: %s", x.off, got)
		}
	}
	c.status(typeClose, from)
	c.status(typeClose, to)
	c.status(typeStat, "/")
	found := map[string]Transfer{}
	for _, e := range got.take() {
		switch e := e.(type) {
		case Transfer:
			found[e.Path] = e
		case Operation:
			if e.Status == StatusOK && (e.Path != "/from" || e.Target != "/to") {
				t.Errorf("%+v", e)
			}
		}
	}
	if r, w := found["/from"], found["/to"]; r.BytesRead != 10 || r.BytesWritten != 0 || w.BytesWritten != 10 || w.BytesRead != 0 {
		t.Errorf("%+v\n%+v", r, w)
	}
}
