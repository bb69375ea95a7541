package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
)

// channel is an SSH channel to a server that a test plays.
type channel struct {
	ssh.Channel
	net.Conn
}

func (c channel) Read(p []byte) (int, error)  { return c.Conn.Read(p) }
func (c channel) Write(p []byte) (int, error) { return c.Conn.Write(p) }
func (c channel) Close() error                { return c.Conn.Close() }
func (c channel) CloseWrite() error           { return nil }

// play starts a session whose requests the function answers, all available ones at once.
func play(t *testing.T, answer func(kind byte, id uint32, rest *fields) []byte) *Session {
	t.Helper()
	ours, theirs := net.Pipe()
	answers := make(chan []byte, 100)
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	go func() {
		defer close(answers)
		server := &Session{in: bufio.NewReader(theirs)}
		for {
			kind, body, err := server.receive()
			if err != nil {
				return
			}
			f := &fields{rest: bytes.Clone(body)}
			answers <- answer(kind, f.uint32(), f)
		}
	}()
	go func() {
		for packet := range answers {
			if _, err := theirs.Write(packet); err != nil {
				break
			}
		}
		for range answers { // nothing reads: let the other end run
		}
	}()
	c := channel{Conn: ours}
	return &Session{channel: c, in: bufio.NewReaderSize(c, headerBuffer)}
}

// packet returns one answer.
func packet(kind byte, id uint32, build func(*Session)) []byte {
	var s Session
	s.request(kind, id)
	build(&s)
	s.end(0)
	return s.out
}

func handle(id uint32) []byte { return packet(typeHandle, id, func(s *Session) { s.string("h") }) }

func ok(id uint32, code uint32) []byte {
	return packet(typeStatus, id, func(s *Session) {
		s.uint32(code)
		s.string("")
		s.string("")
	})
}

// reader answers OPEN, CLOSE, and READ with the function.
func reader(read func(id uint32, offset, size int) []byte) func(byte, uint32, *fields) []byte {
	return func(kind byte, id uint32, f *fields) []byte {
		switch kind {
		case typeOpen:
			return handle(id)
		case typeRead:
			_ = f.string()
			return read(id, int(f.uint64()), int(f.uint32()))
		}
		return ok(id, statusOK)
	}
}

func data(id uint32, content []byte) []byte {
	return packet(typeData, id, func(s *Session) { s.string(string(content)) })
}

// TestShortReads: what is missing from an answer is requested again.
func TestShortReads(t *testing.T) {
	content := random(100_000)
	s := play(t, reader(func(id uint32, offset, size int) []byte {
		return data(id, content[offset:offset+max(1, size/3)])
	}))
	got := make([]byte, len(content))
	if err := s.Download("f", got, Pipeline{Request: 8192, Depth: 5}); err != nil || !bytes.Equal(got, content) {
		t.Errorf("different content: %v", err)
	}
}

// TestOrder: answers may arrive in a different order from the requests.
func TestOrder(t *testing.T) {
	content := random(64 << 10)
	var held []byte
	s := play(t, reader(func(id uint32, offset, size int) []byte {
		answer := data(id, content[offset:offset+size])
		if held == nil { // the first of two waits for the second
			held = answer
			return nil
		}
		answer, held = append(answer, held...), nil
		return answer
	}))
	got := make([]byte, len(content))
	if err := s.Download("f", got, Pipeline{Request: 4096, Depth: 2}); err != nil || !bytes.Equal(got, content) {
		t.Errorf("different content: %v", err)
	}
}

// TestBadAnswers: none of them is accepted as the file's content.
func TestBadAnswers(t *testing.T) {
	for name, read := range map[string]func(id uint32, offset, size int) []byte{
		"end of file too early": func(id uint32, _, _ int) []byte { return ok(id, statusEOF) },
		"more than was asked":   func(id uint32, _, size int) []byte { return data(id, make([]byte, size+1)) },
		"nothing":               func(id uint32, _, _ int) []byte { return data(id, nil) },
		"unknown request":       func(id uint32, _, size int) []byte { return data(id+100, make([]byte, size)) },
		"lengths that differ": func(id uint32, _, size int) []byte {
			p := data(id, make([]byte, size))
			binary.BigEndian.PutUint32(p[9:], uint32(size-1))
			return p
		},
	} {
		if err := play(t, reader(read)).Download("f", make([]byte, 10_000), Pipeline{Request: 4096, Depth: 1}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestUploadFails: an error in the middle is the transfer's error.
func TestUploadFails(t *testing.T) {
	writes := 0
	s := play(t, func(kind byte, id uint32, _ *fields) []byte {
		switch kind {
		case typeOpen:
			return handle(id)
		case typeWrite:
			if writes++; writes == 3 {
				return ok(id, 4)
			}
		}
		return ok(id, statusOK)
	})
	if err := s.Upload("f", make([]byte, 1<<20), Pipeline{Request: 32 << 10, Depth: 8}); err == nil {
		t.Error("no error")
	}
}

// TestConnWrites: everything arrives in order even though writes are combined, and Close waits for it.
func TestConnWrites(t *testing.T) {
	ours, theirs := net.Pipe()
	c := newConn(ours)
	content := random(5 << 20) // more than is buffered
	go func() {
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)%70_000)
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		c.Close()
	}()
	got, err := io.ReadAll(theirs)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed connection")
	}
}
