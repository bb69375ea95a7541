package entry

import (
	"context"
	"crypto/hmac"
	"errors"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// errUnhashed is why an entry cannot be taken yet: its password must be hashed first.
var errUnhashed = errors.New("the password is not hashed yet")

// hashTask is a password to hash. It holds nothing else of the Secret.
type hashTask struct {
	rec    *record
	asOf   string
	secret *corev1.Secret
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *Reader) NeedLeaderElection() bool { return true }

// Start reads and hashes until the context ends. It implements manager.Runnable.
func (r *Reader) Start(ctx context.Context) error {
	var workers sync.WaitGroup
	for range readers {
		workers.Go(func() {
			for namespace, rec, ok := r.reads.Pop(); ok; namespace, rec, ok = r.reads.Pop() {
				r.read(ctx, rec)
				r.reads.Done(namespace)
			}
		})
	}
	for range hashers() {
		workers.Go(func() {
			for namespace, task, ok := r.hashes.Pop(); ok; namespace, task, ok = r.hashes.Pop() {
				r.hashPassword(ctx, task)
				r.hashes.Done(namespace)
			}
		})
	}
	workers.Go(func() { r.wakes.run(ctx) })
	<-ctx.Done()
	r.mu.Lock()
	r.stopped = true
	for _, rec := range r.records {
		if rec.timer != nil {
			rec.timer.Stop()
		}
	}
	r.mu.Unlock()
	r.reads.Close()
	r.hashes.Close()
	workers.Wait()
	return nil
}

// read reads the Secret of a record, and queues its password for hashing if needed.
func (r *Reader) read(ctx context.Context, rec *record) {
	r.mu.Lock()
	asOf, known := rec.wanted, rec.hashed
	if asOf == "" || r.records[rec.ref] != rec {
		rec.busy = false
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()

	var secret *corev1.Secret
	var mac []byte
	e, err := guard(ctx, func() (credentials.Entry, error) {
		var err error
		if secret, err = r.get(ctx, rec.ref); err != nil {
			return credentials.Entry{}, err
		}
		if secret != nil && newer(secret.ResourceVersion, asOf) {
			asOf = secret.ResourceVersion
		}
		return credentials.Read(rec.ref, secret, func(data []byte, source string) (*config.Password, error) {
			mac = r.mac(data)
			if known.password != nil && hmac.Equal(mac, known.mac) {
				return &config.Password{Hash: known.password.Hash, Source: source}, nil
			}
			for _, seed := range r.candidates(secret, rec.ref) {
				if seed.Source == source {
					return seed, nil
				}
			}
			return nil, errUnhashed
		})
	})
	r.metrics.read(err != nil && !errors.Is(err, errUnhashed))
	if errors.Is(err, errUnhashed) {
		r.hashes.Push(rec.ref.Namespace, hashTask{rec: rec, asOf: asOf, secret: only(secret, rec.ref.Entry)})
		return
	}
	r.finish(rec, e, hashed{mac, e.Password}, asOf, err)
}

// hashPassword hashes the password of a record, unless an earlier hash matches it.
func (r *Reader) hashPassword(ctx context.Context, task hashTask) {
	r.mu.Lock()
	gone := r.records[task.rec.ref] != task.rec
	r.mu.Unlock()
	if gone {
		return
	}
	begin := time.Now()
	var mac []byte
	e, err := guard(ctx, func() (credentials.Entry, error) {
		return credentials.Read(task.rec.ref, task.secret, func(data []byte, source string) (*config.Password, error) {
			mac = r.mac(data)
			for _, seed := range r.candidates(task.secret, task.rec.ref) {
				if h, err := password.Parse(seed.Hash); err == nil && password.IsNew(h) && h.Verify(data) {
					return &config.Password{Hash: seed.Hash, Source: source}, nil
				}
			}
			hash, err := r.hash(data)
			if err != nil {
				return nil, err
			}
			return &config.Password{Hash: hash, Source: source}, nil
		})
	})
	r.metrics.hashed(time.Since(begin))
	r.finish(task.rec, e, hashed{mac, e.Password}, task.asOf, err)
}

// finish stores what was read, or why reading failed.
func (r *Reader) finish(rec *record, e credentials.Entry, h hashed, asOf string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.busy = false
	if r.records[rec.ref] != rec || rec.wanted == "" {
		return // forgotten or deleted meanwhile
	}
	now := time.Now()
	switch {
	case err == nil:
		if rec.ref.Kind != credentials.KindPassword {
			h = hashed{}
		}
		rec.install(e, h, asOf)
		if h.password != nil {
			uid, _, _ := strings.Cut(e.Version, "/")
			r.seeds.spend(uid, rec.ref.Entry)
		}
		r.wakes.add(rec.listeners)
	case rec.fail(failureText(err), now):
		r.wakes.add(rec.listeners)
	}
	r.advance(rec, now)
}
