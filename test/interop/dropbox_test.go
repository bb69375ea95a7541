package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const createOnlyRow = "drop box (CreateOnly): new names are accepted, and a second upload to the same name is refused"

// testCreateOnly uploads a name twice: the second time the first file stays unchanged, and the client reports an error. A new
// name is accepted before and after that.
func testCreateOnly(t *testing.T, c *client) {
	box := *c.dropBox
	box.local = t.TempDir()
	records := box.at("records")
	bring(t, box.local, big)
	first := read(t, box.here(big))
	write(t, box.here("second"), strings.Repeat("another content\n", 20000))
	put := func(local, name string) error { return c.copy.put(&box, pair{local, "/records/" + name}) }
	named := func(want ...string) {
		entries, err := os.ReadDir(records)
		must(t, err)
		var have []string
		for _, e := range entries {
			have = append(have, e.Name())
		}
		if !slices.Equal(have, want) {
			t.Errorf("the drop box has %q, want %q", have, want)
		}
	}
	c.judge(t, put(big, "a"), func() { holds(t, filepath.Join(records, "a"), first) })
	c.refuses(t, put("second", "a"), func() {
		holds(t, filepath.Join(records, "a"), first)
		named("a")
	})
	c.judge(t, put("second", "b"), func() {
		holds(t, filepath.Join(records, "a"), first)
		holds(t, filepath.Join(records, "b"), read(t, box.here("second")))
		named("a", "b")
	})
}
