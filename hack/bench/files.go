package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/sftp-operator/sftp-operator/hack/bench/client"
	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// Names of the directories.
const (
	getDir  = "get"
	putDir  = "put"
	listDir = "list"
)

// smallFiles uploads and downloads files of 4 KiB each, one request at a time, with one session and with 16 that share them.
func (b *bench) smallFiles() []workload {
	var all []workload
	for _, n := range []int{1, 16} {
		title := "one session, lock-step, "
		if n > 1 {
			title = fmt.Sprintf("%d sessions, ", n)
		}
		all = append(all,
			workload{
				id: fmt.Sprintf("files-%d-put", n), title: title + "put", amount: float64(b.files), unit: "file",
				run:     func(ctx context.Context, s *servers.Server) (values, error) { return b.putFiles(ctx, s, n) },
				cleanUp: removeDir(putDir),
			},
			workload{
				id: fmt.Sprintf("files-%d-get", n), title: title + "get", amount: float64(b.files), unit: "file",
				prepare: b.makeFiles,
				run:     func(ctx context.Context, s *servers.Server) (values, error) { return b.getFiles(ctx, s, n) },
				cleanUp: removeDir(getDir),
			})
	}
	return all
}

// file returns the content of the i-th small file.
func (b *bench) file(i int) []byte {
	at := i * fileSize % (len(b.content) - fileSize)
	return b.content[at : at+fileSize]
}

func (b *bench) makeFiles(s *servers.Server) error {
	if err := s.MakeDir(getDir); err != nil {
		return err
	}
	for i := range b.files {
		if err := s.MakeFile(path.Join(getDir, fileName(i)), b.file(i)); err != nil {
			return err
		}
	}
	return nil
}

func fileName(i int) string { return fmt.Sprintf("file-%05d.dat", i) }

func (b *bench) putFiles(ctx context.Context, s *servers.Server, n int) (values, error) {
	if err := s.MakeDir(putDir); err != nil {
		return nil, err
	}
	u, err := b.sessions(ctx, s, n, ciphers[0], func(session *client.Session, first int) error {
		for i := first; i < b.files; i += n {
			if err := session.Put(s.Path(path.Join(putDir, fileName(i))), b.file(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range b.files {
		if err := sameFile(s.File(path.Join(putDir, fileName(i))), b.file(i)); err != nil {
			return nil, err
		}
	}
	return u.ofFiles(b.files), os.RemoveAll(s.File(putDir))
}

func (b *bench) getFiles(ctx context.Context, s *servers.Server, n int) (values, error) {
	got := make([][]byte, b.files)
	u, err := b.sessions(ctx, s, n, ciphers[0], func(session *client.Session, first int) error {
		for i := first; i < b.files; i += n {
			content, size, err := session.Get(s.Path(path.Join(getDir, fileName(i))), 2*fileSize)
			if err != nil {
				return err
			}
			if size != fileSize {
				return fmt.Errorf("%s reports %d bytes for file %d", s.Label, size, i)
			}
			got[i] = content
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, content := range got {
		if !bytes.Equal(content, b.file(i)) {
			return nil, fmt.Errorf("%s: file %d has different content", s.Label, i)
		}
	}
	return u.ofFiles(b.files), nil
}

// listing lists a long directory, one request at a time.
func (b *bench) listing() []workload {
	want := make([]string, b.entries)
	for i := range want {
		want[i] = fileName(i)
	}
	return []workload{{
		id: "list", title: report.Fixed(float64(b.entries), 0) + " entries", amount: float64(b.entries), unit: "entry",
		prepare: func(s *servers.Server) error {
			if err := s.MakeDir(listDir); err != nil {
				return err
			}
			for _, name := range want {
				if err := s.MakeFile(path.Join(listDir, name), nil); err != nil {
					return err
				}
			}
			return nil
		},
		run: func(ctx context.Context, s *servers.Server) (values, error) {
			var names []string
			var replies int
			u, err := b.sessions(ctx, s, 1, ciphers[0], func(session *client.Session, _ int) (err error) {
				names, replies, err = session.List(s.Path(listDir))
				return err
			})
			if err != nil {
				return nil, err
			}
			slices.Sort(names)
			if !slices.Equal(names, want) {
				return nil, fmt.Errorf("%s listed %d names instead of %d", s.Label, len(names), len(want))
			}
			return values{report.CPUPerEntry: microseconds(u.cpu) / float64(len(want)), report.Replies: float64(replies)}, nil
		},
		cleanUp: removeDir(listDir),
	}}
}

func removeDir(name string) func(*servers.Server) error {
	return func(s *servers.Server) error { return os.RemoveAll(s.File(name)) }
}
