package client

import (
	"errors"
	"fmt"
	"io"
)

// Pipeline is the size of the requests of a transfer in bytes, and how many are in flight at once.
type Pipeline struct {
	Request, Depth int
}

// IsEOF reports whether an error is the status of the end of a file or directory.
func IsEOF(err error) bool {
	var status StatusError
	return errors.As(err, &status) && status.Code == statusEOF
}

// part is what a READ in flight requested.
type part struct{ offset, size int }

// Download reads a file of exactly the size of content into it. Answers may come in any order and be short, as the draft
// allows; missing parts are requested again.
func (s *Session) Download(path string, content []byte, p Pipeline) error {
	handle, err := s.open(path, openRead)
	if err != nil {
		return err
	}
	parts := make([]part, p.Depth) // by identifier
	asked, flying, missing := 0, 0, len(content)
	ask := func(id int, want part) {
		parts[id] = want
		begin := len(s.out)
		s.read(uint32(id), handle, uint64(want.offset), want.size)
		s.end(begin)
		flying++
	}
	askNext := func(id int) {
		if asked < len(content) {
			size := min(p.Request, len(content)-asked)
			ask(id, part{asked, size})
			asked += size
		}
	}
	for id := range parts {
		askNext(id)
	}
	for flying > 0 {
		// Requests are combined as long as there are answers to read that lead to more requests.
		if s.in.Buffered() < 5 || len(s.out) > headerBuffer {
			if err := s.flush(); err != nil {
				return err
			}
		}
		id, got, err := s.data(content, parts)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		flying--
		missing -= got
		if want := parts[id]; got < want.size {
			ask(id, part{want.offset + got, want.size - got})
		} else {
			askNext(id)
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	if missing != 0 {
		return fmt.Errorf("read %s: %d bytes are missing", path, missing)
	}
	return s.close(handle)
}

// data reads an answer to a READ directly into the content.
func (s *Session) data(content []byte, parts []part) (id, got int, err error) {
	length, kind, err := s.header()
	if err != nil {
		return 0, 0, err
	}
	if kind != typeData {
		body, err := s.body(length)
		if err != nil {
			return 0, 0, err
		}
		f := &fields{rest: body}
		f.uint32()
		return 0, 0, errors.Join(fmt.Errorf("got packet %d instead of DATA", kind), status(f))
	}
	body, err := s.body(8)
	if err != nil {
		return 0, 0, err
	}
	f := &fields{rest: body}
	id, got = int(f.uint32()), int(f.uint32())
	if id >= len(parts) || got != length-8 || got == 0 || got > parts[id].size {
		return 0, 0, fmt.Errorf("answer %d with %d bytes in a packet of %d", id, got, length)
	}
	at := parts[id].offset
	_, err = io.ReadFull(s.in, content[at:at+got])
	return id, got, err
}

// Upload writes the content to a file.
func (s *Session) Upload(path string, content []byte, p Pipeline) error {
	handle, err := s.open(path, openWrite|openCreat|openTrunc)
	if err != nil {
		return err
	}
	for at, flying := 0, 0; at < len(content) || flying > 0; {
		for ; at < len(content) && flying < p.Depth; flying++ {
			size := min(p.Request, len(content)-at)
			begin := len(s.out)
			s.write(s.next(), handle, uint64(at), content[at:at+size])
			s.end(begin)
			at += size
			if len(s.out) > readBuffer {
				if err := s.flush(); err != nil {
					return err
				}
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
		for taken := false; flying > 0 && (!taken || s.in.Buffered() > 5); taken = true {
			if err := s.written(); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
			flying--
		}
	}
	return s.close(handle)
}

// written reads the answer to a WRITE.
func (s *Session) written() error {
	kind, body, err := s.receive()
	if err != nil {
		return err
	}
	f := &fields{rest: body}
	f.uint32()
	if kind != typeStatus {
		return fmt.Errorf("got packet %d instead of STATUS", kind)
	}
	return status(f)
}
