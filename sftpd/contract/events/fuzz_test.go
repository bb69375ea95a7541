package events_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// FuzzDecode: what is decoded is valid, and means the same when it is encoded again.
func FuzzDecode(f *testing.F) {
	raw, err := events.Encode(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(bytes.Replace(raw, []byte(`"size":12`), []byte(`"size":-1,"sha256":"00"`), 1))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := events.Decode(raw)
		if err != nil {
			return
		}
		again, err := events.Encode(e)
		if err != nil {
			if len(raw) < events.MaxSize/8 { // escapes may make it longer
				t.Fatal(err)
			}
			return
		}
		back, err := events.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		once, err := events.Encode(back)
		if err != nil || !bytes.Equal(once, again) {
			t.Errorf("%s\n%s\n%v", again, once, err)
		}
	})
}

// FuzzPath: the subject of any path is valid, and the path is read back.
func FuzzPath(f *testing.F) {
	f.Add("/a")
	f.Add("/\xff\n\u2028\\\"")
	f.Fuzz(func(t *testing.T, p string) {
		if len(p) > events.MaxPath {
			return
		}
		e := example()
		e.Data.SetPath(p)
		e.Subject = events.Subject("team-a", "acme", p)
		raw, err := events.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := events.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := back.Data.FullPath(); err != nil || got != p {
			t.Errorf("%q reads back as %q: %v", p, got, err)
		}
	})
}

// FuzzLines: whatever a daemon answers, it is refused or is lines.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"cursor\":\"a\",\"event\":{}}\n{\"cursor\":\"b\",\"event\":[1]}"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		lines, err := events.ParseLines(answer)
		if err != nil && lines != nil {
			t.Error("lines along with an error")
		}
		again, _ := events.ParseLines(bytes.Clone(answer))
		if !reflect.DeepEqual(lines, again) {
			t.Error("not the same lines again")
		}
	})
}
