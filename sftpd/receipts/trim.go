package receipts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of what is kept for a user. Beyond them, the oldest are removed first.
const (
	MaxCount = 1000
	MaxAge   = 90 * 24 * time.Hour
)

// staleAge is the age at which an unfinished file counts as left behind by a process that is gone.
const staleAge = time.Hour

// kept is a receipt in a directory.
type kept struct {
	name string // the receipt's; its signature's has a suffix
	at   time.Time
}

// surplus returns the receipts to remove: those that are too old, and the oldest if there are too many.
func surplus(have []kept, now time.Time, count int, age time.Duration) []kept {
	slices.SortFunc(have, func(a, b kept) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	n := max(len(have)-count, 0)
	for n < len(have) && have[n].at.Before(now.Add(-age)) {
		n++
	}
	return have[:n]
}

// Trim removes receipts of a user. The directory stays, because sessions may have it open.
func (s *Store) Trim(account string, now time.Time) error {
	dir, err := s.userDir(account)
	if err != nil {
		return err
	}
	have, orphans, err := list(dir)
	if err != nil {
		return err
	}
	gone := surplus(have, now, MaxCount, MaxAge)
	for _, k := range gone { // the receipt first, so that every visible one has a signature
		if err := errors.Join(remove(filepath.Join(dir, k.name)), remove(filepath.Join(dir, k.name+sigSuffix))); err != nil {
			return err
		}
	}
	for _, o := range orphans {
		if o.at.Before(now.Add(-staleAge)) {
			if err := remove(filepath.Join(dir, o.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the receipts in a directory, and signatures without a receipt.
func list(dir string) (have, orphans []kept, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for _, e := range entries { // sorted, so a receipt comes before its signature
		of, isSig := strings.CutSuffix(e.Name(), sigSuffix)
		if isSig && seen[of] || !isSig && !strings.HasSuffix(of, jsonSuffix) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // another pod has removed it
		}
		if isSig {
			orphans = append(orphans, kept{e.Name(), changed(info)})
			continue
		}
		seen[of] = true
		have = append(have, kept{e.Name(), info.ModTime()})
	}
	return have, orphans, nil
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// TrimAll removes receipts of all users, including those who no longer upload, and what killed processes left behind. It calls
// next between users, and stops when next returns false. Of several errors it returns the first one, and the number of the
// others.
func (s *Store) TrimAll(now time.Time, next func() bool) error {
	namespaces, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all failures
	all.add(err)
	for _, ns := range namespaces {
		if ns.Name() == newDir {
			all.add(s.trimNew(now))
			continue
		}
		users, err := os.ReadDir(filepath.Join(s.dir, ns.Name()))
		all.add(err)
		for _, u := range users {
			if !next() {
				return all.err()
			}
			all.add(s.Trim(ns.Name()+"/"+u.Name(), now))
		}
	}
	return all.err()
}

// failures holds the first of many errors, and their number: a broken volume fails for each of thousands of users.
type failures struct {
	first error
	count int
}

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	if f.count++; f.first == nil {
		f.first = err
	}
}

func (f *failures) err() error {
	if f.count < 2 {
		return f.first
	}
	return fmt.Errorf("%w, and %d other errors", f.first, f.count-1)
}

// changed returns when a file was last written or renamed. Its modification time is the time in its receipt instead.
func changed(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Sec, st.Ctim.Nsec)
	}
	return info.ModTime()
}

func (s *Store) trimNew(now time.Time) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, newDir))
	var all failures
	all.add(err)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && changed(info).Before(now.Add(-staleAge)) {
			all.add(remove(filepath.Join(s.dir, newDir, e.Name())))
		}
	}
	return all.err()
}
