package outbox

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// failing is an upload that is announced and does not get its name, such as a rename to the name of a directory.
func failing(t *testing.T) record {
	t.Helper()
	return record{Kind: prepared, Dir: []byte("/none"), Name: []byte("f"), Temp: []byte("t"), Inode: 7, Event: encoded(t, "/f")}
}

// TestSegmentsAreBounded: a user whose uploads fail in a loop leaves nothing behind, although a dead letter in the first segment keeps
// it from being removed, and those after it.
func TestSegmentsAreBounded(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	r := still(t, base, set)
	n := r.write(t, published(t, "/refused"))[0]
	r.write(t, record{Kind: recorded, Of: n, For: []string{"a"}, Dead: "400", Event: encoded(t, "/refused")})
	for range 400 {
		if err := r.next(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			p := r.write(t, failing(t))[0]
			r.write(t, record{Kind: abandoned, Of: p})
		}
		if err := r.ack("a", r.cursor(r.last)); err != nil {
			t.Fatal(err)
		}
		r.flush()
		r.tend()
	}
	if len(r.segs) > maxSegments+1 {
		t.Errorf("%d segments, each with an open file", len(r.segs))
	}
	if have, _ := r.read(t, "a", "", true); have != "/refused" {
		t.Errorf("dead letters %q", have)
	}
}

// TestSegmentsThatRefer: an upload that is announced in one segment and settled in the next one has one outcome, also after a kill,
// however often both were compacted.
func TestSegmentsThatRefer(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 1 << 20}
	r := still(t, base, set)
	n := r.write(t, published(t, "/refused"))[0]
	r.write(t, record{Kind: recorded, Of: n, For: []string{"a"}, Dead: "400", Event: encoded(t, "/refused")})
	at := r.write(t, failing(t))[0]
	for i := range 300 {
		if err := r.next(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			r.write(t, record{Kind: abandoned, Of: at})
		} else {
			e := published(t, "/f")
			e.Of = at
			r.write(t, e)
		}
		for range 5 {
			p := r.write(t, failing(t))[0]
			r.write(t, record{Kind: abandoned, Of: p})
		}
		at = r.write(t, failing(t))[0]
		if err := r.ack("a", r.cursor(r.last)); err != nil {
			t.Fatal(err)
		}
		r.flush()
		r.tend()
	}
	if len(r.segs) > maxSegments+1 {
		t.Errorf("%d segments", len(r.segs))
	}
	r.lock.Close() // as if it was killed
	r = still(t, base, set)
	r.expect(t, "a", "/f") // the last one, whose outcome was not known
	if have, _ := r.read(t, "a", "", true); have != "/refused" {
		t.Errorf("dead letters %q", have)
	}
}

// TestDroppedLetterStaysDropped: a dead letter that was dropped does not come back after a restart, although an earlier event of its
// sink is still tried.
func TestDroppedLetterStaysDropped(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 8_000}
	r := still(t, base, set)
	stays := r.write(t, published(t, "/first"), published(t, "/first2"), published(t, "/first3"), published(t, "/first4"), published(t, "/gone"))
	if err := r.next(); err != nil {
		t.Fatal(err)
	}
	letters := r.write(t, record{Kind: recorded, Of: stays[4], For: []string{"a"}, Dead: "400", Event: encoded(t, "/gone")})
	for i := range 20 {
		n := r.write(t, published(t, fmt.Sprint("/x", i)))[0]
		letters = append(letters, r.write(t, record{Kind: recorded, Of: n, For: []string{"a"}, Dead: "400", Event: encoded(t, fmt.Sprint("/x", i))})...)
	}
	for _, n := range letters {
		r.forget(t, n)
	}
	if err := r.next(); err != nil {
		t.Fatal(err)
	}
	const want = "/first/first2/first3/first4"
	r.expect(t, "a", want)
	for range 5 {
		r.tend()
	}
	r.lock.Close() // as if it was killed
	r = still(t, base, set)
	r.expect(t, "a", want)
}

// TestRefusedEventDoesNotSettle: an event that reached the file, although neither fdatasync nor taking it back worked, does not
// settle its upload when the segment is compacted: the file has its name, and gets an event at the next start.
func TestRefusedEventDoesNotSettle(t *testing.T) {
	base, set := t.TempDir(), live{sinks: sinks("a"), maxBytes: 4_000}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := still(t, base, set)
	up := record{Kind: prepared, Dir: []byte(dir), Name: []byte("f"), Temp: []byte("t"), Inode: look(path).inode, Event: encoded(t, "/f")}
	announced := r.write(t, published(t, "/stays"), up)[1]
	if err := r.next(); err != nil {
		t.Fatal(err)
	}
	r.last++
	e := published(t, "/f")
	e.Of, e.User, e.Type, e.At, e.N = announced, "team/ada", events.FilePublished, 1, r.last
	line, err := e.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.tail().file.Write(line); err != nil {
		t.Fatal(err)
	}
	r.tail().size += int64(len(line))
	for i := range 20 {
		p := published(t, fmt.Sprint("/", i))
		p.For = []string{"none"}
		r.write(t, p)
	}
	if err := r.next(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.tend()
	}
	r.lock.Close() // as if it was killed
	r = still(t, base, set)
	r.expect(t, "a", "/stays/f")
}
