package platform

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
)

// Source has the policy in effect, which changes with its file while the operator runs. A nil Source has no policy.
type Source struct {
	file   string
	policy atomic.Pointer[Policy]

	mu sync.Mutex
	// judged is what the file contained when it was last judged, and verdict why that is not in effect, nil if it is.
	judged  [sha256.Size]byte
	verdict error
	// seen is what the file contained last. It is judged when it is the same again: someone may be writing it.
	seen [sha256.Size]byte
}

// Fixed returns a Source of a policy that does not change.
func Fixed(p *Policy) *Source {
	s := &Source{}
	s.policy.Store(p)
	return s
}

// FromFile returns a Source of the policy in a file, as in Parse; no name stands for no policy. If the content cannot be used, the
// Source has an Unusable policy until it is corrected, and Check returns the reason. An error is about the file.
func FromFile(name string) (*Source, error) {
	if name == "" {
		return Fixed(nil), nil
	}
	s := &Source{file: name}
	data, err := s.read()
	if err != nil {
		return nil, err
	}
	p, err := Parse(data)
	if err != nil {
		p, s.verdict = Unusable(), fmt.Errorf("%s: %w", name, err)
	}
	s.policy.Store(p)
	s.judged = sha256.Sum256(data)
	s.seen = s.judged
	return s, nil
}

// Policy returns the policy in effect, nil for none.
func (s *Source) Policy() *Policy {
	if s == nil {
		return nil
	}
	return s.policy.Load()
}

// File returns the name of the file, "" if there is none.
func (s *Source) File() string {
	if s == nil {
		return ""
	}
	return s.file
}

// Check reads the file, and reports whether a different policy is in effect now. An error says why the file's
// content is not in effect: then the previous policy stays. The kubelet replaces all files of a mounted
// ConfigMap or Secret at once; a file that is written in place is used once it was the same in two calls. An
// empty file is not used, because a policy that bounds nothing must be intended.
func (s *Source) Check() (changed bool, err error) {
	if s.File() == "" {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.read()
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(data)
	settled := sum == s.seen
	s.seen = sum
	if !settled || sum == s.judged {
		return false, s.verdict
	}
	s.judged = sum
	p, err := Parse(data)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		err = errors.New("the file is empty; for a policy without defaults and bounds, write {}")
	}
	if err != nil {
		s.verdict = fmt.Errorf("%s: %w", s.file, err)
		return false, s.verdict
	}
	s.verdict = nil
	before := s.policy.Swap(p)
	return !reflect.DeepEqual(before, p), nil
}

// read reads the file, and not much more than may be in one.
func (s *Source) read() ([]byte, error) {
	f, err := os.Open(s.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
