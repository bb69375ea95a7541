package server

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// rekeyBurst and rekeyInterval are how often a client may exchange keys: so many times
	// at once, and then once in an interval. Clients do so after a gigabyte or an hour, and
	// without a bound may do so 500 times a second (measured), which takes a CPU.
	rekeyBurst    = 8
	rekeyInterval = time.Second
)

// rekeying is when a session's keys were exchanged, and how to have that done again: x/crypto
// does so by volume alone, and by time as well only if it is asked in a way that is not
// exported.
type rekeying struct {
	after time.Duration // of the policy
	last  atomic.Int64  // since started
	ask   chan<- struct{}
}

// exchanged is called for each exchange, whoever asked for it.
func (r *rekeying) exchanged() { r.last.Store(int64(time.Since(started))) }

// byTime asks for an exchange if the last one was long ago, and not again until as much time
// has passed: a client may take its time to answer.
func (r *rekeying) byTime() {
	if r.after == 0 || time.Since(started)-time.Duration(r.last.Load()) < r.after {
		return
	}
	r.exchanged()
	select {
	case r.ask <- struct{}{}:
	default: // asked for already
	}
}

// left is how long it is until keys are to be exchanged.
func (r *rekeying) left() time.Duration {
	if r.after == 0 {
		return never
	}
	return time.Duration(r.last.Load()) + r.after - time.Since(started)
}

// pace makes a connection's key exchanges wait. x/crypto does not tell of them, but asks
// for a signature in each.
type pace struct {
	mu   sync.Mutex
	free time.Time // when the next exchange would not have to wait, if there were no burst
}

// reserve takes an exchange's place and returns how long it has to wait for it.
func (p *pace) reserve(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	wait := p.free.Sub(now) - (rekeyBurst-1)*rekeyInterval
	p.free = p.free.Add(rekeyInterval)
	return max(wait, 0)
}

func (p *pace) wait() { time.Sleep(p.reserve(time.Now())) }

// paced returns a host key that signs at the pace. It has the methods of the original that
// x/crypto looks for; it calls Sign for a key's own algorithm, else SignWithAlgorithm.
func (p *pace) paced(key ssh.Signer) ssh.Signer {
	switch k := key.(type) {
	case ssh.MultiAlgorithmSigner:
		return &pacedMulti{MultiAlgorithmSigner: k, pace: p}
	case ssh.AlgorithmSigner:
		return &pacedAlgorithm{AlgorithmSigner: k, pace: p}
	}
	return &pacedSigner{Signer: key, pace: p}
}

type pacedMulti struct {
	ssh.MultiAlgorithmSigner
	pace *pace
}

func (s *pacedMulti) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	s.pace.wait()
	return s.MultiAlgorithmSigner.Sign(rand, data)
}

func (s *pacedMulti) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s.pace.wait()
	return s.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

type pacedAlgorithm struct {
	ssh.AlgorithmSigner
	pace *pace
}

func (s *pacedAlgorithm) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	s.pace.wait()
	return s.AlgorithmSigner.Sign(rand, data)
}

func (s *pacedAlgorithm) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s.pace.wait()
	return s.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

type pacedSigner struct {
	ssh.Signer
	pace *pace
}

func (s *pacedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	s.pace.wait()
	return s.Signer.Sign(rand, data)
}
