package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// binary is a package's tests with changed code.
type binary struct {
	path string
	dir  string          // of the tests' package
	skip string          // tests to leave out
	took time.Duration   // without a mutant
	hits map[string]bool // the ids that the tests get to
}

// build compiles the tests of a package with the files of another, or of its own, replaced.
func build(ctx context.Context, s *source, texts map[string]string, tests, skip, scratch string) (*binary, error) {
	replace := map[string]string{}
	for name, text := range texts {
		path := filepath.Join(scratch, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		replace[filepath.Join(s.dir, name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	overlayPath := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(overlayPath, overlay, 0o600); err != nil {
		return nil, err
	}
	out := filepath.Join(scratch, strings.ReplaceAll(tests, "/", "_")+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlayPath, "-o", out, "./"+tests)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c %s: %w: %s", tests, err, text)
	}
	if _, err := os.Stat(out); err != nil {
		return nil, fmt.Errorf("%s has no tests", tests)
	}
	return &binary{path: out, dir: tests, skip: skip}, nil
}

// measure runs the tests without a mutant, notes their time, and which mutants they get to.
func (b *binary) measure(ctx context.Context) error {
	trace := b.path + ".trace"
	if err := os.RemoveAll(trace); err != nil {
		return err
	}
	started := time.Now()
	ok, output := b.test(ctx, 0, 10*time.Minute, "MUTANT_TRACE="+trace)
	if !ok {
		return fmt.Errorf("the tests of %s fail without a mutant: %s", b.dir, output)
	}
	b.took = time.Since(started)
	data, err := os.ReadFile(trace)
	if err != nil {
		return fmt.Errorf("the tests of %s run none of the code: %w", b.dir, err)
	}
	b.hits = map[string]bool{}
	for id := range strings.FieldsSeq(string(data)) {
		b.hits[id] = true
	}
	return nil
}

// limit is how long the tests may take with a mutant, which may loop for ever.
func (b *binary) limit() time.Duration { return 10*time.Second + 5*b.took }

// test runs the tests with a mutant switched on and reports whether they pass.
func (b *binary) test(ctx context.Context, id int, limit time.Duration, env ...string) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, limit+5*time.Second)
	defer cancel()
	// A mutant may also allocate for ever. The bound is on addresses, so it is far above what tests use.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `ulimit -v 8388608; exec "$0" "$@"`, b.path,
		"-test.failfast", "-test.count=1", "-test.skip="+b.skip, "-test.timeout="+limit.String())
	cmd.Dir = b.dir
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "MUTANT="+strconv.Itoa(id)), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := out.String()
	if len(text) > 4096 {
		text = text[len(text)-4096:]
	}
	return err == nil, text
}
