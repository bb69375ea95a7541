package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	sftpserver "github.com/sftp-operator/sftp-operator/sftpd/sftp"
)

func TestStdioUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"stdio", "-h"}, 0, "--read-only"},
		{[]string{"-stdio", "-Q", "requests"}, 0, strings.Join(sftpserver.Requests(), "\n") + "\n"},
		{[]string{"stdio", "-Q", "nonsense"}, 2, `"nonsense" is not a known feature`},
		{[]string{"stdio", "-P", "nonsense"}, 2, `"nonsense" is not a request`},
		{[]string{"stdio", "-p", "read,nonsense"}, 2, `"nonsense" is not a request`},
		{[]string{"stdio", "-l", "loud"}, 2, `log level "loud"`},
		{[]string{"stdio", "-u", "9"}, 2, `umask "9"`},
		{[]string{"stdio", "-u", "1777"}, 2, `umask "1777"`},
		{[]string{"stdio", "-x"}, 2, "unknown shorthand flag"},
		{[]string{"stdio", "extra"}, 2, `unexpected argument "extra"`},
		{[]string{"stdio", "--root", "/nowhere/at/all"}, 1, "/nowhere/at/all"},
		{[]string{"stdio", "--resolver", "magic"}, 1, `resolver "magic" is unknown`},
	} {
		code, stdout, stderr := call(tc.args...)
		if code != tc.code || !strings.Contains(stdout+stderr, tc.say) {
			t.Errorf("%q: %d %s%s", tc.args, code, stdout, stderr)
		}
	}
}

// stdioSession starts the real program and a client for it. The client's end is the program's.
func stdioSession(t *testing.T, program, dir string, args ...string) *sftp.Client {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), program, append([]string{"-stdio"}, args...)...)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := sftp.NewClientPipe(out, in)
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.Close() // complains about the end of the stream
		if err := cmd.Wait(); err != nil {
			t.Errorf("at the end of its input: %v: %s", err, &stderr)
		}
	})
	return c
}

func program(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sftpd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

func TestStdio(t *testing.T) {
	sftpd, dir := program(t), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "jail/start"), 0o755); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		args  []string
		start string
	}{
		{"working directory", nil, real},
		{"start directory", []string{"-d", filepath.Join(dir, "jail")}, real + "/jail"},
		{"root", []string{"--root", filepath.Join(dir, "jail")}, "/"},
		{"start directory in a root", []string{"--root", filepath.Join(dir, "jail"), "-d", "start"}, "/start"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := stdioSession(t, sftpd, dir, tc.args...)
			if have, err := c.Getwd(); err != nil || have != tc.start {
				t.Errorf("it starts in %q, %v", have, err)
			}
			f, err := c.Create("made")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := c.Stat(tc.start + "/made"); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("umask", func(t *testing.T) {
		if err := stdioSession(t, sftpd, dir, "-u", "077").Mkdir("private"); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "private")); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", st.Mode(), err)
		}
	})
	for name, args := range map[string][]string{"read-only": {"-R"}, "denied": {"-P", "mkdir"}, "not allowed": {"-p", "realpath,stat"}} {
		t.Run(name, func(t *testing.T) {
			c := stdioSession(t, sftpd, dir, args...)
			if err := c.Mkdir("refused"); err == nil {
				t.Error("a directory was made")
			}
			if _, err := c.Stat("jail"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStdioReaderGone: if nothing reads the answers anymore, the program exits on its own, with an exit code and not by a
// signal.
func TestStdioReaderGone(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program(t), "stdio", "--root", t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	write.Close()
	hello := binary.BigEndian.AppendUint32(nil, 5)
	if _, err := in.Write(append(hello, 1, 0, 0, 0, 3)); err != nil { // INIT, version 3
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code is sufficient
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
}

// TestStdioTruncated: a stream that ends within a packet is not a clean end.
func TestStdioTruncated(t *testing.T) {
	var stderr bytes.Buffer
	if code := runStdio([]string{"--root", t.TempDir()}, strings.NewReader("\x00\x00\x00\x05\x01"), io.Discard, &stderr); code != 1 {
		t.Errorf("%d %s", code, &stderr)
	}
	if code := runStdio([]string{"--root", t.TempDir()}, strings.NewReader(""), io.Discard, &stderr); code != 0 {
		t.Errorf("%d %s", code, &stderr)
	}
}
