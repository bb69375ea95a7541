package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestNumbersOfTheDraft: the numbers on the wire are those of draft-ietf-secsh-filexfer-02, and the sizes those of OpenSSH's
// server. The clients in this package's tests use the same constants, so they would not notice a wrong one.
func TestNumbersOfTheDraft(t *testing.T) {
	for i, types := range [][2][]int{
		{{
			typeInit, typeVersion, typeOpen, typeClose, typeRead, typeWrite, typeLstat, typeFstat, typeSetstat, typeFsetstat, typeOpendir,
			typeReaddir, typeRemove, typeMkdir, typeRmdir, typeRealpath, typeStat, typeRename, typeReadlink, typeSymlink,
		}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}},
		{{typeStatus, typeHandle, typeData, typeName, typeAttrs, typeExtended, typeExtendedReply}, {101, 102, 103, 104, 105, 200, 201}},
		{{flagRead, flagWrite, flagAppend, flagCreate, flagTrunc, flagExcl}, {1, 2, 4, 8, 16, 32}},
		{{attrSize, attrOwner, attrMode, attrTimes, attrExtended}, {1, 2, 4, 8, 1 << 31}},
		{
			{int(StatusOK), int(StatusEOF), int(StatusNoSuchFile), int(StatusPermissionDenied), int(StatusFailure), int(StatusBadMessage), int(StatusUnsupported)},
			{0, 1, 2, 3, 4, 5, 8},
		},
		{{maxPacket, maxRead, maxWrite, minPacket, protocolVersion, DefaultMaxHandles}, {262144, 261120, 261120, 1, 3, 1000}},
	} {
		if !slices.Equal(types[0], types[1]) {
			t.Errorf("%d: %d, want %d", i, types[0], types[1])
		}
	}
	tr, _ := tree(t, vfs.ReadWrite)
	for max, want := range map[int]uint64{0: 1000, 7: 7} {
		c, _, _ := dialRaw(t, tr, Options{MaxHandles: max})
		_, f := c.call(typeExtended, "limits@openssh.com")
		if got := [4]uint64{f.uint64(), f.uint64(), f.uint64(), f.uint64()}; got != [4]uint64{262144, 261120, 261120, want} || f.bad || len(f.rest) > 0 {
			t.Errorf("limits %d, %d bytes left", got, len(f.rest))
		}
	}
}

// TestStatusOfErrors: the codes match OpenSSH's errno_to_portable, and errors from other sources are not revealed.
func TestStatusOfErrors(t *testing.T) {
	for err, want := range map[error]Status{
		nil: 0, io.EOF: 1, syscall.ENOENT: 2, syscall.ENOTDIR: 2, syscall.EBADF: 2, syscall.ELOOP: 2, syscall.EPERM: 3, syscall.EACCES: 3, syscall.EFAULT: 3,
		syscall.ENAMETOOLONG: 5, syscall.EINVAL: 5, syscall.ENOSYS: 8, syscall.EEXIST: 4, syscall.ENOTEMPTY: 4, syscall.EISDIR: 4, syscall.EBUSY: 4,
		vfs.ErrAccess: 3, vfs.ErrMountPoint: 3, vfs.ErrOwner: 3, vfs.ErrReserved: 3, vfs.ErrCrossMount: 4, vfs.ErrUploading: 4, vfs.ErrInterrupted: 4, vfs.ErrRemoved: 4,
	} {
		if code, text := statusOf(err); code != want || text == "" {
			t.Errorf("%v: %s %q, want %s", err, code, text, want)
		}
	}
	for err, want := range map[error]string{
		errors.New("/host/path"): "Failure", vfs.ErrAccess: "Permission denied: " + vfs.ErrAccess.Error(), syscall.EACCES: "Permission denied",
		vfs.ErrUploading: "Failure: " + vfs.ErrUploading.Error(), syscall.EINVAL: "Bad message: invalid argument", io.EOF: "End of file", nil: "Success",
	} {
		if _, text := statusOf(err); text != want {
			t.Errorf("%v: %q, want %q", err, text, want)
		}
	}
}

// TestInputInAnyPieces: packets of all sizes are read back unchanged, however the stream is split, and a stream that ends
// within a packet gives an error.
func TestInputInAnyPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range 12 {
		var stream []byte
		var sent [][]byte
		for range 40 {
			n := 1 + rnd.IntN(60)
			switch rnd.IntN(10) {
			case 0:
				n = 1000 + rnd.IntN(50) // about as much as an idle session holds
			case 1:
				n = 1 + rnd.IntN(maxPacket)
			case 2:
				n = maxPacket
			}
			p := make([]byte, n)
			for i := range min(n, 100) {
				p[i], p[n-1-i] = byte(rnd.Uint32()), byte(rnd.Uint32())
			}
			sent = append(sent, p)
			stream = append(binary.BigEndian.AppendUint32(stream, uint32(n)), p...)
		}
		cut := len(stream)
		if round%3 == 2 {
			cut -= 1 + rnd.IntN(len(sent[len(sent)-1])+3)
		}
		var r io.Reader = bytes.NewReader(stream[:cut])
		switch round % 4 {
		case 1:
			r = iotest.HalfReader(r)
		case 2:
			r = iotest.DataErrReader(r)
		case 3:
			r = &pieces{r: r, rnd: rnd}
		}
		in := &input{r: r}
		for i, want := range sent {
			p, err := in.next()
			if i == len(sent)-1 && cut < len(stream) {
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("round %d: the last of %d bytes: %v", round, len(want), err)
				}
				break
			}
			if err != nil || !bytes.Equal(p, want) {
				t.Fatalf("round %d, packet %d: %d bytes, %v, want %d", round, i, len(p), err, len(want))
			}
			for at, j := in.start, i+1; j < len(sent); j++ { // what has arrived already
				ahead := in.packet(at)
				if ahead == nil {
					break
				}
				if !bytes.Equal(ahead, sent[j]) {
					t.Fatalf("round %d, packet %d is seen as %d bytes, want %d", round, j, len(ahead), len(sent[j]))
				}
				at += 4 + len(ahead)
			}
		}
		if cut == len(stream) {
			if _, err := in.next(); !errors.Is(err, io.EOF) {
				t.Errorf("round %d: at the end %v", round, err)
			}
			if in.big != nil {
				t.Errorf("round %d: a buffer is held", round)
			}
		}
		in.release()
	}
}

// pieces returns a few bytes at a time, and sometimes none.
type pieces struct {
	r   io.Reader
	rnd *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), p.rnd.IntN(3)*p.rnd.IntN(5000))])
}

// stalled is a reader that returns nothing for a while.
type stalled struct {
	empty int
	r     io.Reader
}

func (s *stalled) Read(b []byte) (int, error) {
	if s.empty--; s.empty >= 0 {
		return 0, nil
	}
	return s.r.Read(b)
}

// TestReaderWithoutProgress: a stream that returns neither data nor an error is not read forever.
func TestReaderWithoutProgress(t *testing.T) {
	for empty, want := range map[int]error{0: nil, 1: nil, 99: nil, 100: io.ErrNoProgress, 1 << 30: io.ErrNoProgress} {
		in := &input{r: &stalled{empty, bytes.NewReader([]byte{0, 0, 0, 1, 7})}}
		p, err := in.next()
		if !errors.Is(err, want) || want == nil && !bytes.Equal(p, []byte{7}) {
			t.Errorf("after %d: %q, %v, want %v", empty, p, err, want)
		}
	}
}
