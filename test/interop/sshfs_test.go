package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountSSHFS mounts a directory through sshfs and our server, and returns the directory and the mount point. sshfs starts the
// server instead of ssh.
func mountSSHFS(t *testing.T, options ...string) (root, mnt string) {
	root = t.TempDir()
	ssh := filepath.Join(t.TempDir(), "ssh")
	text := fmt.Sprintf("#!/bin/sh\nexec %s stdio --root %s\n", server, root)
	if err := os.WriteFile(ssh, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	mnt, _ = startSSHFS(t, "nobody@nowhere:/", append([]string{"-o", "ssh_command=" + ssh}, options...)...)
	return root, mnt
}

// startSSHFS mounts a source until the test ends, or until it is unmounted: a test does that to be sure that everything has
// been written.
func startSSHFS(t *testing.T, source string, options ...string) (mnt string, unmount func()) {
	t.Helper()
	sshfs := tool(t, "sshfs")
	fusermount := tool(t, "fusermount3")
	if _, err := os.Stat("/dev/fuse"); err != nil {
		missing(t, "/dev/fuse")
	}
	mnt = t.TempDir()
	args := append([]string{"-f"}, options...)
	// When it ends, a call that waits for a file of the mount fails; otherwise the call might wait forever.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, sshfs, append(args, source, mnt)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = exec.Command(fusermount, "-u", mnt).Run() // the test may have done it
		_ = unix.Unmount(mnt, 0)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	const fuse = 0x65735546
	for range 1000 {
		var st unix.Statfs_t
		if unix.Statfs(mnt, &st) == nil && int64(st.Type) == fuse {
			return mnt, func() {
				run(t, exec.Command(fusermount, "-u", mnt))
				select {
				case err := <-ended:
					ended <- err
					if err != nil {
						t.Errorf("sshfs: %v: %s", err, &out)
					}
				case <-time.After(time.Minute):
					t.Error("sshfs still runs a minute after the unmount")
				}
			}
		}
		select {
		case err := <-ended:
			ended <- err
			missing(t, fmt.Sprintf("a working FUSE (sshfs: %v: %s)", err, &out))
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("sshfs did not mount: %s", &out)
	return "", nil
}

// TestSSHFSRandomIO reads, writes and truncates a file at random through sshfs, against a model in memory, as fsx does. sshfs
// keeps many requests for one file in flight, so this finds servers that do not process them in order.
func TestSSHFSRandomIO(t *testing.T) {
	for _, options := range [][]string{nil, {"-o", "direct_io"}, {"-o", "no_readahead"}} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(options, seed), func(t *testing.T) {
				root, mnt := mountSSHFS(t, options...)
				f, err := os.OpenFile(filepath.Join(mnt, "f"), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				model := randomIO(t, f, rand.New(rand.NewPCG(seed, 1)))
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(root, "f"))
				if err != nil || !bytes.Equal(got, model) {
					t.Errorf("the file differs at the end: %d bytes, want %d, %v", len(got), len(model), err)
				}
			})
		}
	}
}

func randomIO(t *testing.T, f *os.File, rnd *rand.Rand) []byte {
	const limit = 300 << 10
	var model []byte
	for op := range 3000 {
		off, n := rnd.IntN(limit), 1+rnd.IntN(70<<10)
		switch rnd.IntN(8) {
		case 0, 1, 2:
			data := bytes.Repeat([]byte{byte(1 + op%255)}, n)
			if _, err := f.WriteAt(data, int64(off)); err != nil {
				t.Fatal(err)
			}
			if end := off + n; end > len(model) {
				model = append(model, make([]byte, end-len(model))...)
			}
			copy(model[off:], data)
		case 3:
			if err := f.Truncate(int64(off)); err != nil {
				t.Fatal(err)
			}
			model = append(model, make([]byte, max(0, off-len(model)))...)[:off]
		default:
			buf := make([]byte, n)
			got, err := f.ReadAt(buf, int64(off))
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			want := model[min(off, len(model)):min(off+n, len(model))]
			if !bytes.Equal(buf[:got], want) {
				t.Fatalf("operation %d: read at %d: %d bytes differ from the %d written", op, off, got, len(want))
			}
		}
	}
	return model
}

// TestSSHFSTree does with sshfs what people usually do with a mount.
func TestSSHFSTree(t *testing.T) {
	root, mnt := mountSSHFS(t)
	script := `set -e; cd "$1"
mkdir -p a/b; echo hello > a/b/f; ln -s b/f a/l; ln a/b/f a/h; mv a/b/f a/b/g; cat a/h; readlink a/l
echo more >> a/h; chmod 640 a/h; touch -d 2001-02-03 a/h; truncate -s 3 a/b/g; ls -la a > /dev/null; df . > /dev/null
echo new > n; mv -f n a/h; for i in $(seq 300); do : > a/b/$i; done; ls a/b | wc -l; find . | wc -l; rm -r a/b; rmdir a 2>/dev/null || echo full`
	out := run(t, exec.Command("sh", "-c", script, "sh", mnt))
	if out != "hello\nb/f\n301\n306\nfull\n" {
		t.Errorf("%q", out)
	}
	if got, _ := os.ReadFile(filepath.Join(root, "a/h")); string(got) != "new\n" {
		t.Errorf("%q", got)
	}
}
