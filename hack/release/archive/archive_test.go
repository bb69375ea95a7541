package archive

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestBytesDependOnFilesOnly(t *testing.T) {
	files := []File{{"b/x", 0o755, []byte("program")}, {"a", 0o644, []byte("text")}}
	other := slices.Clone(files)
	slices.Reverse(other)
	for name, pack := range map[string]func([]File, time.Time) ([]byte, error){"tar.gz": TarGz, "zip": Zip} {
		at := time.Unix(1_700_000_000, 0)
		one, err := pack(files, at)
		if err != nil {
			t.Fatal(err)
		}
		two, err := pack(other, at.In(time.FixedZone("elsewhere", 7200)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s: equal files, in a different order and time zone, give different bytes", name)
		}
	}
}
