package vfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSumOfACopy: a file that a client changed only by having the server copy into it has the checksum of all of its content, and
// one that was not changed has none.
func TestSumOfACopy(t *testing.T) {
	for _, u := range []Uploads{{Checksum: true}, onClose} {
		for n, want := range map[int64]string{0: "", 3: sumOf("987 content")} {
			tree, dir := uploadTree(t, Auto, u, ReadWrite)
			write(t, dir, "digits", "987")
			src, err := tree.OpenFile("/digits", unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f, err := tree.OpenFile("/old", unix.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				if done, err := src.CopyTo(f, 0, 0, n); done != n || err != nil {
					t.Fatal(done, err)
				}
			}
			if sum, err := f.Sum(inOneGo); sum != want || err != nil {
				t.Errorf("%+v, %d bytes copied: %q, %v", u, n, sum, err)
			}
			finish(t, f, true, Nothing)
			finish(t, src, true, Nothing)
		}
	}
}
