package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// encoded returns a valid event with a path.
func encoded(t testing.TB, path string) []byte {
	t.Helper()
	e := events.Event{
		SpecVersion: events.SpecVersion, ID: "id-" + events.Text(path, 64), Source: events.Source("", "files", "public"), Type: events.FilePublished,
		Time: time.Unix(1764478800, 0).UTC(), DataContentType: events.DataContentType, Sequence: noSequence, PartitionKey: "team/ada",
	}
	e.Data.SetPath(path)
	raw, err := events.Encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestRecord: a line is one line, reads back, and is refused when any of its bytes is another one.
func TestRecord(t *testing.T) {
	for _, r := range []record{
		{Kind: prepared, N: 1, Dir: []byte("/v/\xff\n"), Name: []byte("a\nb"), Temp: []byte("t"), Inode: 1 << 63, User: "team/ada", Event: encoded(t, "/<a>\u2028")},
		{Kind: recorded, N: 2, Of: 1, Type: events.FilePublished, For: []string{"x"}, Dead: "why\n", At: 5, Event: encoded(t, "/b")},
		{Kind: state, Log: "l", Acked: map[string]uint64{"x": 7}},
		{Kind: forgotten, Gone: []uint64{1, 2}},
	} {
		line, err := r.encode([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		line = bytes.TrimPrefix(line, []byte("before"))
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Errorf("not a line: %q", line)
		}
		back, err := decode(line)
		if err != nil || !reflect.DeepEqual(*back, r) {
			t.Errorf("%+v\n%+v\n%v", back, r, err)
		}
		for i := range line[:len(line)-1] {
			changed := bytes.Clone(line)
			changed[i] ^= 0x04
			if _, err := decode(changed); !errors.Is(err, errDamaged) {
				t.Fatalf("byte %d of %q: %v", i, line, err)
			}
		}
		for i := range len(line) - 1 {
			if _, err := decode(line[:i]); !errors.Is(err, errDamaged) {
				t.Fatalf("torn after %d bytes: %v", i, err)
			}
		}
	}
}

func TestNumbered(t *testing.T) {
	raw := encoded(t, `/"sequence":"`+noSequence+`"`)
	got := numbered(raw, 42)
	e, err := events.Decode(got)
	if err != nil || e.Sequence != "00000000000000000042" || len(got) != len(raw) {
		t.Errorf("%s, %v", got, err)
	}
	if p, err := e.Data.FullPath(); err != nil || !strings.HasSuffix(p, noSequence+`"`) {
		t.Errorf("the path was changed: %s", p)
	}
	if again := numbered(got, 43); !bytes.Equal(again, got) {
		t.Error("it is numbered twice")
	}
}

// FuzzSegment: whatever a segment holds, what is readable is read, and nothing else happens.
func FuzzSegment(f *testing.F) {
	var seg []byte
	for i := range 3 {
		r := record{Kind: recorded, N: uint64(i + 1), User: "team/ada", Type: events.FilePublished, Event: encoded(f, fmt.Sprint("/", i))}
		var err error
		if seg, err = r.encode(seg); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(seg, 5, byte(1))
	f.Add(seg, len(seg)/2, byte('\n'))
	f.Fuzz(func(t *testing.T, in []byte, at int, with byte) {
		check := func(in []byte) (records int) {
			total, err := eachLine(bytes.NewReader(in), func(line []byte, off int64) {
				if int(off)+len(line) > len(in) || !bytes.Equal(in[off:int(off)+len(line)], line) {
					t.Error("not the file's bytes")
				}
				r, err := decode(line)
				if err != nil {
					return
				}
				if raw, err := json.Marshal(r); err != nil || len(raw) == 0 {
					t.Error(err)
				}
				records++
			})
			if err != nil || total != int64(len(in)) {
				t.Errorf("%d of %d bytes: %v", total, len(in), err)
			}
			return records
		}
		check(in)
		if at >= 0 && at < len(seg) {
			damaged := bytes.Clone(seg)
			damaged[at] = with
			if n := check(damaged); n < 1 { // one byte damages two lines at most
				t.Errorf("%d records", n)
			}
		}
	})
}

func TestLongLines(t *testing.T) {
	r := record{Kind: forgotten, Gone: []uint64{7}}
	line, err := r.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	in := append(bytes.Repeat([]byte("x"), 3*maxRecord), '\n')
	in = append(append(in, line...), bytes.Repeat([]byte("y"), 2*maxRecord)...)
	var have []string
	n, err := eachLine(bytes.NewReader(in), func(line []byte, off int64) {
		have = append(have, fmt.Sprint(off, " ", len(line)))
	})
	want := fmt.Sprint([]string{"0 0", fmt.Sprint(3*maxRecord+1, " ", len(line)), fmt.Sprint(3*maxRecord+1+len(line), " 0")})
	if fmt.Sprint(have) != want || n != int64(len(in)) || err != nil {
		t.Errorf("%v, want %s; %d, %v", have, want, n, err)
	}
}
