package client

import "fmt"

// open opens a file, or with flags 0 a directory.
func (s *Session) open(path string, flags uint32) (handle string, err error) {
	id := s.next()
	if flags == 0 {
		s.request(typeOpendir, id)
		s.string(path)
	} else {
		s.request(typeOpen, id)
		s.string(path)
		s.uint32(flags)
		s.uint32(0) // no attributes
	}
	answer, err := s.call(id, typeHandle)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	handle = answer.string()
	return handle, answer.err
}

func (s *Session) close(handle string) error {
	id := s.next()
	s.request(typeClose, id)
	s.string(handle)
	_, err := s.call(id, typeStatus)
	return err
}

// Put writes a small file, one request at a time: OPEN, WRITE, CLOSE.
func (s *Session) Put(path string, content []byte) error {
	handle, err := s.open(path, openWrite|openCreat|openTrunc)
	if err != nil {
		return err
	}
	id := s.next()
	s.write(id, handle, 0, content)
	if _, err := s.call(id, typeStatus); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return s.close(handle)
}

// Get reads a small file, one request at a time: OPEN, FSTAT, READ, CLOSE. It returns its content and the size that FSTAT gave.
// The content is valid until the next request.
func (s *Session) Get(path string, size int) (content []byte, stated uint64, err error) {
	handle, err := s.open(path, openRead)
	if err != nil {
		return nil, 0, err
	}
	id := s.next()
	s.request(typeFstat, id)
	s.string(handle)
	answer, err := s.call(id, typeAttrs)
	if err != nil {
		return nil, 0, fmt.Errorf("fstat %s: %w", path, err)
	}
	stated = answer.attributes()
	id = s.next()
	s.read(id, handle, 0, size)
	answer, err = s.call(id, typeData)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", path, err)
	}
	content = append([]byte(nil), answer.take(answer.uint32())...)
	if answer.err != nil {
		return nil, 0, answer.err
	}
	return content, stated, s.close(handle)
}

func (s *Session) read(id uint32, handle string, offset uint64, size int) {
	s.request(typeRead, id)
	s.string(handle)
	s.uint64(offset)
	s.uint32(uint32(size))
}

func (s *Session) write(id uint32, handle string, offset uint64, data []byte) {
	s.request(typeWrite, id)
	s.string(handle)
	s.uint64(offset)
	s.uint32(uint32(len(data)))
	s.out = append(s.out, data...)
}

// List returns the names in a directory, without "." and "..", and the number of replies that it took.
func (s *Session) List(path string) (names []string, replies int, err error) {
	handle, err := s.open(path, 0)
	if err != nil {
		return nil, 0, err
	}
	for {
		id := s.next()
		s.request(typeReaddir, id)
		s.string(handle)
		answer, err := s.call(id, typeName)
		if IsEOF(err) {
			return names, replies, s.close(handle)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("list %s: %w", path, err)
		}
		replies++
		for n := answer.uint32(); n > 0 && answer.err == nil; n-- {
			name := answer.string()
			answer.take(answer.uint32()) // longname
			answer.attributes()
			if name != "." && name != ".." {
				names = append(names, name)
			}
		}
		if answer.err != nil {
			return nil, 0, answer.err
		}
	}
}
