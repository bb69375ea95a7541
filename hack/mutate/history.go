package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// history is what is known about the mutants of a package, for this content of its code, its tests, everything that they import
// and their test data.
type history struct {
	path     string
	Verdicts map[string]verdict

	// Noticed are the mutants that earlier tests of any earlier code noticed, for -trust.
	noticedPath string
	Noticed     map[string]bool
}

// openHistory reads the results of earlier runs.
func openHistory(ctx context.Context, p pack, use bool) (*history, error) {
	h := &history{Verdicts: map[string]verdict{}, Noticed: map[string]bool{}}
	sum := sha256.New()
	args := []string{"-export", "-deps", "-test", "-f", "{{.ImportPath}} {{.BuildID}}"}
	for _, tests := range p.tests {
		args = append(args, "./"+tests)
	}
	ids, err := goList(ctx, args...)
	if err != nil {
		return nil, err
	}
	_, _ = sum.Write(ids)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := []string{self}
	for _, tests := range p.tests {
		err := filepath.WalkDir(filepath.Join(tests, "testdata"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(sum, f)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, strings.ReplaceAll(p.path, "/", "_")+"-")
	h.path = name + hex.EncodeToString(sum.Sum(nil))[:16] + ".json"
	h.noticedPath = name + "noticed.json"
	if !use {
		return h, nil
	}
	return h, errors.Join(readJSON(h.path, &h.Verdicts), readJSON(h.noticedPath, &h.Noticed))
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// save writes the results for later runs.
func (h *history) save() error {
	if err := os.MkdirAll(filepath.Dir(h.path), 0o755); err != nil {
		return err
	}
	return errors.Join(writeJSON(h.path, h.Verdicts), writeJSON(h.noticedPath, h.Noticed))
}

func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// cacheDir returns where the project's tools keep expensive results, as hack/tools/run.sh does.
func cacheDir() (string, error) {
	if dir := os.Getenv("SFTP_OPERATOR_CACHE"); dir != "" {
		return filepath.Join(dir, "mutate"), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "sftp-operator", "mutate"), err
}
