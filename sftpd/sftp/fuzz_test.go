package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// FuzzFields parses arbitrary bytes as fields in an arbitrary order. Nothing may panic, and no field may extend past the
// packet.
func FuzzFields(f *testing.F) {
	for _, body := range valid("12345678") {
		f.Add([]byte("sasqlqsb"), body)
	}
	f.Fuzz(func(t *testing.T, plan, body []byte) {
		fs := fields{rest: body}
		taken := 0
		for _, p := range plan {
			switch p {
			case 'l':
				fs.uint32()
				taken += 4
			case 'q':
				fs.uint64()
				taken += 8
			case 'a':
				fs.attrs()
				taken += 4
			default:
				b := fs.bytes()
				taken += 4 + len(b)
				if len(b) > len(body) || cap(b) > cap(body) {
					t.Fatal("a field longer than its packet")
				}
			}
		}
		if !fs.bad && taken > len(body) {
			t.Fatalf("%d bytes of fields in a packet of %d", taken, len(body))
		}
	})
}

// FuzzSession runs a session on arbitrary input over a small tree with a file outside of it. Whatever the input, the session
// answers each packet once with a well-formed packet, leaves nothing open, and does not touch the outside.
func FuzzSession(f *testing.F) {
	hello := packet(typeInit, uint32(3))
	name := string(append(binary.BigEndian.AppendUint32(nil, 1), 0, 0, 0, 0))
	all := [][]byte{hello, packet(typeOpen, 1, "/f", flagRead|flagWrite|flagCreate, 0)}
	for _, k := range kinds {
		all = append(all, packet(k.typ, 7, valid(name)[k.name]))
		f.Add(bytes.Join([][]byte{hello, all[1], all[len(all)-1]}, nil))
	}
	f.Add(bytes.Join(all, nil))
	f.Add(bytes.Join([][]byte{
		hello, packet(typeSymlink, 1, "../secret", "/l"), packet(typeOpen, 2, "/l", flagRead|flagWrite, 0),
		packet(typeRead, 3, name, uint64(0), 100), packet(typeOpendir, 4, "/.."), packet(typeReaddir, 5, name),
	}, nil))
	f.Add(bytes.Join([][]byte{ // WRITEs that are merged, and one that is not
		hello, all[1], packet(typeWrite, 2, name, uint64(0), "0123"), packet(typeWrite, 3, name, uint64(4), "4567"),
		packet(typeWrite, 4, name, uint64(8), "89"), packet(typeWrite, 5, name, uint64(160<<20-6), "end"),
		packet(typeWrite, 6, name, uint64(160<<20-3), "beyond"), packet(typeRead, 7, name, uint64(0), 20),
	}, nil))
	f.Add([]byte{0, 0, 0, 0})
	parent := "/dev/shm" // in memory, for many more tries
	if _, err := os.Stat(parent); err != nil {
		parent = f.TempDir()
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		base, err := os.MkdirTemp(parent, "sftpd-session-") //nolint:usetesting // t.TempDir is on a disk
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		defer limitFiles(t)()
		home, secret := filepath.Join(base, "home"), filepath.Join(base, "secret")
		if err := os.Mkdir(home, 0o755); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(secret, []byte("a secret outside"), 0o600)
		tr, err := vfs.Open([]vfs.Mount{{Path: "/", Volume: home, Access: vfs.ReadWrite}, {Path: "/s/in", Volume: home, SubPath: "in", Access: vfs.ReadWrite}})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		requests := 0
		for rest := in; len(rest) >= 4; requests++ {
			n := uint64(binary.BigEndian.Uint32(rest))
			if n == 0 || n > maxPacket || n > uint64(len(rest)-4) {
				break
			}
			rest = rest[4+n:]
		}
		var out bytes.Buffer
		s := NewSession(stream{bytes.NewReader(in), &out}, tr, Options{MaxHandles: 4, Observe: func(Event) {}})
		s.handles.next = 0 // so that the seeds use open handles, and a finding can be reproduced
		_ = s.Serve(context.Background())
		if s.OpenFiles() != 0 {
			t.Fatal("files are left open")
		}
		if bytes.Contains(out.Bytes(), []byte("a secret outside")) || bytes.Contains(out.Bytes(), []byte(base)) {
			t.Fatal("something of the host leaked")
		}
		if got, err := os.ReadFile(secret); string(got) != "a secret outside" || err != nil {
			t.Fatal("the file outside changed", err)
		}
		replies := 0
		for rest := out.Bytes(); len(rest) > 0; replies++ {
			n := uint64(0)
			if len(rest) >= 5 {
				n = uint64(binary.BigEndian.Uint32(rest))
			}
			if n < 5 || n > maxPacket || n > uint64(len(rest)-4) {
				t.Fatal("malformed reply")
			}
			rest = rest[4+n:]
		}
		if replies != requests {
			t.Fatalf("%d replies to %d requests", replies, requests)
		}
	})
}

// limitFiles limits the size of files to 4 MiB until the returned function is called: a WRITE at a large offset creates a
// sparse file, and a copy-data of it would fill the memory. The fuzzer itself needs larger files between two inputs.
func limitFiles(t *testing.T) (restore func()) {
	var before unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4 << 20, Max: before.Max})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = unix.Setrlimit(unix.RLIMIT_FSIZE, &before) }
}
