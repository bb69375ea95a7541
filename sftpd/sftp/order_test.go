package sftp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// pipeline sends all requests at once and returns the replies.
func (c *raw) pipeline(packets ...[]byte) []reply {
	c.t.Helper()
	c.write(bytes.Join(packets, nil))
	var all []reply
	for range packets {
		typ, id, f := c.read()
		all = append(all, reply{typ, id, f})
	}
	return all
}

type reply struct {
	typ byte
	id  uint32
	f   *fields
}

// TestOrder pipelines requests on one file whose result depends on their order (filexfer-02, section 6.1): these are the cases
// in which sshfs loses data on servers that execute them concurrently.
func TestOrder(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for i := range 150 {
		h := c.open(fmt.Sprint("/f", i), flagRead|flagWrite|flagCreate)
		a, b := bytes.Repeat([]byte{'a'}, 1000+i), bytes.Repeat([]byte{'b'}, 1000)
		all := c.pipeline(
			packet(typeWrite, 1, h, uint64(0), string(a)),
			packet(typeRead, 2, h, uint64(0), 4000),
			packet(typeFstat, 3, h),
			packet(typeWrite, 4, h, uint64(500), string(b)), // overlaps
			packet(typeRead, 5, h, uint64(400), 4000),
			packet(typeFsetstat, 6, h, attrSize, uint64(0)),
			packet(typeWrite, 7, h, uint64(3), "end"),
			packet(typeFsetstat, 8, h, attrTimes, 11, 12),
			packet(typeFstat, 9, h),
			packet(typeRead, 10, h, uint64(0), 4000),
			packet(typeClose, 11, h),
			packet(typeRead, 12, h, uint64(0), 4000),
			packet(typeStat, 13, fmt.Sprint("/f", i)),
		)
		for j, r := range all {
			if r.id != uint32(j+1) {
				t.Fatalf("reply %d is to request %d", j+1, r.id)
			}
		}
		if got := all[1].f.bytes(); !bytes.Equal(got, a) {
			t.Fatal("READ missed the WRITE before it")
		}
		if all[2].f.uint32(); all[2].f.uint64() != uint64(len(a)) {
			t.Fatal("FSTAT missed the WRITE before it")
		}
		if got := all[4].f.bytes(); !bytes.Equal(got[100:1100], b) || got[0] != 'a' || len(got) != 1100+max(0, len(a)-1500) {
			t.Fatal("overlapping WRITEs are out of order")
		}
		all[8].f.uint32()
		if size := all[8].f.uint64(); size != 6 {
			t.Fatal("size after WRITE, FSETSTAT, WRITE:", size)
		}
		all[8].f.take(12)
		if atime, mtime := all[8].f.uint32(), all[8].f.uint32(); atime != 11 || mtime != 12 {
			t.Fatal("times set by FSETSTAT:", atime, mtime)
		}
		if got := all[9].f.string(); got != "\x00\x00\x00end" {
			t.Fatalf("WRITE, FSETSTAT to size 0, WRITE: %q", got)
		}
		if all[10].typ != typeStatus || Status(all[10].f.uint32()) != StatusOK || Status(all[11].f.uint32()) != StatusFailure {
			t.Fatal("READ after CLOSE")
		}
	}
}

// TestOrderIsTheModels pipelines random requests through three handles of one file and by its name, and compares all answers
// with those of a byte slice.
func TestOrderIsTheModels(t *testing.T) {
	tr, _ := tree(t, vfs.ReadWrite)
	c, _, _ := dialRaw(t, tr, Options{})
	for seed := range 40 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		name := fmt.Sprint("f", seed)
		handles := []string{c.open(name, flagRead|flagWrite|flagCreate), c.open(name, flagRead|flagWrite), c.open(name, flagRead|flagWrite|flagAppend)}
		var file []byte
		resize := func(n int) { file = append(file, make([]byte, max(0, n-len(file)))...)[:n] }
		var packets [][]byte
		var want []string // the answer's type and data
		for range 100 {
			at := rnd.IntN(len(handles))
			h, off, n := handles[at], rnd.IntN(3000), 1+rnd.IntN(2000)
			switch rnd.IntN(6) {
			case 0, 1:
				data := bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, n)
				packets, want = append(packets, packet(typeWrite, 1, h, uint64(off), string(data))), append(want, "OK")
				if at == 2 {
					off = len(file)
				}
				resize(max(len(file), off+n))
				copy(file[off:], data)
			case 2, 3:
				packets = append(packets, packet(typeRead, 1, h, uint64(off), n))
				if off >= len(file) {
					want = append(want, "EOF")
				} else {
					want = append(want, string(file[off:min(off+n, len(file))]))
				}
			case 4:
				packets, want = append(packets, packet(typeFsetstat, 1, h, attrSize, uint64(off))), append(want, "OK")
				resize(off)
			case 5:
				typ, what := byte(typeFstat), h
				if n%2 == 0 {
					typ, what = typeStat, name
				}
				packets, want = append(packets, packet(typ, 1, what)), append(want, fmt.Sprint(len(file), " bytes"))
			}
		}
		for i, r := range c.pipeline(packets...) {
			var got string
			switch r.typ {
			case typeStatus:
				got = Status(r.f.uint32()).String()
			case typeData:
				got = r.f.string()
			case typeAttrs:
				got = fmt.Sprint(r.f.attrs().Size, " bytes")
			}
			if got != want[i] {
				t.Fatalf("seed %d, request %d: %.20q of %d, want %.20q of %d", seed, i, got, len(got), want[i], len(want[i]))
			}
		}
		for _, h := range handles {
			c.status(typeClose, h)
		}
	}
}
