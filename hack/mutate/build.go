package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// binary is a package's tests with changed code.
type binary struct {
	path string
	dir  string // of the tests' package
	skip string // tests to leave out
	each []oneTest
	left []string      // tests that were left out because they take too long
	took time.Duration // all others
}

// oneTest is a test of a binary.
type oneTest struct {
	name string
	took time.Duration   // without a mutant
	hits map[string]bool // the IDs of the mutants that it reaches
}

// quick is the time of a test that is tried before slower ones.
const quick = 300 * time.Millisecond

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

// measure runs each test without a mutant, and records its time and the mutants that it reaches, so that only the tests that
// reach a mutant are run for it. Tests that take longer than slowest are left out.
func (b *binary) measure(ctx context.Context, slowest time.Duration) error {
	cmd := exec.CommandContext(ctx, b.path, "-test.list=^(Test|Fuzz|Example)")
	cmd.Dir = b.dir
	names, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("listing the tests of %s: %w", b.dir, err)
	}
	reached := false
	for name := range strings.FieldsSeq(string(names)) {
		one := oneTest{name: name, hits: map[string]bool{}}
		trace := b.path + ".trace"
		if err := os.RemoveAll(trace); err != nil {
			return err
		}
		started := time.Now()
		ran := b.test(ctx, 0, []oneTest{one}, slowest, "MUTANT_TRACE="+trace)
		switch {
		case ran.verdict == late:
			fmt.Printf("%s of %s is left out: it takes longer than %s\n", name, b.dir, slowest)
			b.left = append(b.left, name)
			continue
		case ran.verdict == noticed:
			return fmt.Errorf("%s of %s fails without a mutant: %s", name, b.dir, ran.output)
		}
		one.took = time.Since(started)
		b.took += one.took
		data, err := os.ReadFile(trace)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for id := range strings.FieldsSeq(string(data)) {
			one.hits[id] = true
			reached = true
		}
		b.each = append(b.each, one)
	}
	if !reached {
		return fmt.Errorf("the tests of %s do not run any of the code", b.dir)
	}
	return nil
}

// reaching returns the tests that reach a mutant: the quick ones, which run in one process, and then the others, quicker ones first.
func (b *binary) reaching(m *mutant) (runs [][]oneTest) {
	var fast []oneTest
	for _, one := range b.each {
		switch {
		case !one.hits[strconv.Itoa(m.id)]:
		case one.took < quick:
			fast = append(fast, one)
		default:
			runs = append(runs, []oneTest{one})
		}
	}
	slices.SortStableFunc(runs, func(a, b []oneTest) int { return cmp.Compare(a[0].took, b[0].took) })
	if len(fast) > 0 {
		runs = append([][]oneTest{fast}, runs...)
	}
	return runs
}

// limit returns how long tests may take with a mutant, which may loop forever.
func limit(tests []oneTest) time.Duration {
	sum := 10 * time.Second
	for _, one := range tests {
		sum += 5 * one.took
	}
	return sum
}

// ending is how tests ended, and the end of what they wrote.
type ending struct {
	verdict verdict
	output  string
}

// test runs tests, or all of them if none are named, with a mutant switched on.
func (b *binary) test(ctx context.Context, id int, tests []oneTest, limit time.Duration, env ...string) ending {
	var names []string
	for _, one := range tests {
		names = append(names, one.name)
	}
	named := "."
	if len(names) > 0 {
		named = "^(" + strings.Join(names, "|") + ")$"
	}
	skip := b.skip
	if len(b.left) > 0 && len(names) == 0 {
		skip = strings.Trim(skip+"|^("+strings.Join(b.left, "|")+")$", "|")
	}
	ctx, cancel := context.WithTimeout(ctx, limit+5*time.Second)
	defer cancel()
	// A mutant may also allocate forever. The limit is on address space, so it is far above what tests use.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `ulimit -v 8388608; exec "$0" "$@"`, b.path,
		"-test.failfast", "-test.count=1", "-test.run="+named, "-test.skip="+skip, "-test.timeout="+limit.String())
	cmd.Dir = b.dir
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "MUTANT="+strconv.Itoa(id)), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := out.String()
	v := survived
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it passed, and the machine was too busy to read what it wrote
	case ctx.Err() != nil || strings.Contains(text, "panic: test timed out after"):
		v = late
	default:
		v = noticed
	}
	if len(text) > 4096 {
		text = text[len(text)-4096:]
	}
	return ending{v, text}
}
