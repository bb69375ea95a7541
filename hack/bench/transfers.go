package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/hack/bench/client"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// cipher is an encryption algorithm that the client offers as its only one.
type cipher struct {
	name  string
	ciphs []string
	macs  []string
}

var ciphers = []cipher{
	{"aes128-gcm", []string{ssh.CipherAES128GCM}, nil},
	{"aes256-gcm", []string{ssh.CipherAES256GCM}, nil},
	{"aes128-ctr", []string{ssh.CipherAES128CTR}, []string{ssh.HMACSHA256ETM}},
	{"chacha20-poly1305", []string{ssh.CipherChaCha20Poly1305}, nil},
}

var pipelines = []struct {
	name string
	client.Pipeline
}{
	{"32k", client.Pipeline{Request: 32 << 10, Depth: 64}},
	{"255k", client.Pipeline{Request: 255 << 10, Depth: 16}},
}

// Names of the files that are transferred.
const (
	downName = "down"
	upName   = "up"
)

// optionsFor returns the options of a login with only one cipher.
func optionsFor(s *servers.Server, c cipher) client.Options {
	o := s.Options()
	o.Ciphers, o.MACs = c.ciphs, c.macs
	return o
}

// rawTransfers returns downloads and uploads by our own client, for each cipher and each request size.
func (b *bench) rawTransfers() []workload {
	var all []workload
	for _, c := range ciphers {
		for _, p := range pipelines {
			id := "raw-" + c.name + "-" + p.name
			title := fmt.Sprintf("%s, %d KiB × %d", c.name, p.Request>>10, p.Depth)
			all = append(all,
				b.download(id+"-down", "download "+title, 1, c, p.Pipeline),
				b.upload(id+"-up", "upload "+title, 1, c, p.Pipeline))
		}
	}
	return all
}

// parallelTransfers returns several sessions at once, each with its own connection and file.
func (b *bench) parallelTransfers() []workload {
	var all []workload
	for _, n := range []int{16, 64} {
		id, title := fmt.Sprintf("parallel-%d-", n), fmt.Sprintf("%d sessions, 32 KiB × 64, ", n)
		all = append(all,
			b.download(id+"down", title+"down", n, ciphers[0], pipelines[0].Pipeline),
			b.upload(id+"up", title+"up", n, ciphers[0], pipelines[0].Pipeline))
	}
	return all
}

func (b *bench) download(id, title string, n int, c cipher, p client.Pipeline) workload {
	return workload{
		id: id, title: title, amount: float64(len(b.content)) / gib, unit: "GiB",
		prepare: func(s *servers.Server) error {
			for i := range n {
				if err := s.MakeFile(fmt.Sprint(downName, i), b.share(b.content, i, n)); err != nil {
					return err
				}
			}
			return nil
		},
		run: func(ctx context.Context, s *servers.Server) (values, error) {
			clear(b.received)
			u, err := b.sessions(ctx, s, n, c, func(session *client.Session, i int) error {
				return session.Download(s.Path(fmt.Sprint(downName, i)), b.share(b.received, i, n), p)
			})
			if err != nil {
				return nil, err
			}
			if sha256.Sum256(b.received) != b.digest {
				return nil, fmt.Errorf("%s: the files have different content", s.Label)
			}
			return u.ofSessions(len(b.content)), nil
		},
		cleanUp: func(s *servers.Server) error { return removeFiles(s, downName, n) },
	}
}

func (b *bench) upload(id, title string, n int, c cipher, p client.Pipeline) workload {
	return workload{
		id: id, title: title, amount: float64(len(b.content)) / gib, unit: "GiB",
		run: func(ctx context.Context, s *servers.Server) (values, error) {
			u, err := b.sessions(ctx, s, n, c, func(session *client.Session, i int) error {
				return session.Upload(s.Path(fmt.Sprint(upName, i)), b.share(b.content, i, n), p)
			})
			if err != nil {
				return nil, err
			}
			for i := range n {
				if err := sameFile(s.File(fmt.Sprint(upName, i)), b.share(b.content, i, n)); err != nil {
					return nil, err
				}
			}
			return u.ofSessions(len(b.content)), removeFiles(s, upName, n)
		},
		cleanUp: func(s *servers.Server) error { return removeFiles(s, upName, n) },
	}
}

// sessions logs in n times and then measures until each session has done its part. Logins are not included.
func (b *bench) sessions(ctx context.Context, s *servers.Server, n int, c cipher, part func(*client.Session, int) error) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, workLimit)
	defer cancel()
	all, end, err := openAll(ctx, optionsFor(s, c), n)
	defer end()
	if err != nil {
		return usage{}, err
	}
	return measure(s, func() error {
		return each(n, func(i int) error { return part(all[i], i) })
	})
}

// openAll opens several sessions, one after another. end closes those that could be opened.
func openAll(ctx context.Context, o client.Options, n int) (all []*client.Session, end func(), err error) {
	end = func() {
		for _, session := range all {
			_ = session.Close() // the measured work is over
		}
	}
	for range n {
		session, err := client.Open(ctx, o)
		if err != nil {
			return all, end, err
		}
		all = append(all, session)
	}
	return all, end, nil
}

// each runs a function for 0 to n-1 at once and returns the first error.
func each(n int, f func(int) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() { errs <- f(i) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// share returns the i-th of n equal parts.
func (b *bench) share(content []byte, i, n int) []byte {
	size := len(content) / n
	return content[i*size : (i+1)*size]
}

// sameFile reports by size and SHA-256 whether a file has the content.
func sameFile(file string, content []byte) error {
	got, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(got) != len(content) || sha256.Sum256(got) != sha256.Sum256(content) {
		return fmt.Errorf("%s has %d bytes instead of %d", file, len(got), len(content))
	}
	return nil
}

func removeFiles(s *servers.Server, name string, n int) error {
	for i := range n {
		if err := os.RemoveAll(s.File(fmt.Sprint(name, i))); err != nil {
			return err
		}
	}
	return nil
}

// commandTransfers returns transfers by OpenSSH's client, with its default ciphers and with only one. The login is part of the
// measurement.
func (b *bench) commandTransfers() []workload {
	var all []workload
	for _, c := range append([]cipher{{name: "default"}}, ciphers...) {
		option := ""
		if len(c.ciphs) > 0 {
			option = c.ciphs[0]
		}
		all = append(all, b.get(c.name, option), b.put(c.name, option))
	}
	return all
}

func commandTitle(verb, name string) string {
	if name == "default" {
		return verb + ", default ciphers"
	}
	return verb + ", " + name + " alone"
}

func (b *bench) get(name, cipher string) workload {
	local := filepath.Join(b.place.Scratch(), "got")
	w := b.download("sftp-"+name+"-get", commandTitle("get", name), 1, ciphers[0], client.Pipeline{})
	w.run = func(ctx context.Context, s *servers.Server) (values, error) {
		ctx, cancel := context.WithTimeout(ctx, workLimit)
		defer cancel()
		u, err := measure(s, func() error {
			return s.SFTP(ctx, cipher, fmt.Sprintf("get %s %s", s.Path(downName+"0"), local))
		})
		if err != nil {
			return nil, err
		}
		if err := sameFile(local, b.content); err != nil {
			return nil, err
		}
		return u.ofBytes(len(b.content)), os.Remove(local)
	}
	return w
}

func (b *bench) put(name, cipher string) workload {
	local := filepath.Join(b.place.Scratch(), "sent")
	w := b.upload("sftp-"+name+"-put", commandTitle("put", name), 1, ciphers[0], client.Pipeline{})
	w.prepare = func(*servers.Server) error { return os.WriteFile(local, b.content, 0o644) }
	w.run = func(ctx context.Context, s *servers.Server) (values, error) {
		ctx, cancel := context.WithTimeout(ctx, workLimit)
		defer cancel()
		u, err := measure(s, func() error {
			return s.SFTP(ctx, cipher, fmt.Sprintf("put %s %s", local, s.Path(upName+"0")))
		})
		if err != nil {
			return nil, err
		}
		if err := sameFile(s.File(upName+"0"), b.content); err != nil {
			return nil, err
		}
		return u.ofBytes(len(b.content)), removeFiles(s, upName, 1)
	}
	return w
}
