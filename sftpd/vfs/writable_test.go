package vfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVariable tells the child process of TestCheckWritable that it may mount.
const insideVariable = "VFS_MOUNT_NAMESPACE"

// TestCheckWritable runs the cases in their own mount namespace, because they need full and read-only file systems.
func TestCheckWritable(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		checkWritableInside(t)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCheckWritable$", "-test.v")
	child.Env = append(os.Environ(), insideVariable+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func checkWritableInside(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	mount := func(name, options string) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			t.Fatalf("mount %s: %v", name, err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		return dir
	}
	check := func(what, volume string, subPaths []string, want error) {
		t.Helper()
		if err := CheckWritable(volume, subPaths); !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}

	good := mount("good", "size=1m")
	check("a volume", good, nil, nil)
	if entries, err := os.ReadDir(good); err != nil || len(entries) != 0 {
		t.Errorf("it leaves %v behind (%v)", entries, err)
	}
	check("a missing volume", filepath.Join(base, "missing"), nil, fs.ErrNotExist)

	readOnly := mount("read-only", "size=1m")
	if err := unix.Mount("", readOnly, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	check("a read-only volume", readOnly, nil, unix.EROFS)

	full := mount("full", "size=64k")
	if err := os.WriteFile(filepath.Join(full, "file"), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	check("a full volume", full, nil, unix.ENOSPC)
	inodes := mount("inodes", "size=1m,nr_inodes=1")
	check("one without inodes", inodes, nil, unix.ENOSPC)
	// Some network file systems have no other way to say so.
	for _, volume := range []string{full, inodes} {
		var call *os.SyscallError
		if err := CheckWritable(volume, nil); !errors.As(err, &call) || call.Syscall != "statfs" {
			t.Errorf("%s: %v, want what statfs says", volume, err)
		}
	}
	if err := os.Truncate(filepath.Join(full, "file"), 32<<10); err != nil {
		t.Fatal(err)
	}
	check("one with space again", full, nil, nil)
	// Others count neither.
	check("one that counts no blocks", mount("unlimited", "size=0"), nil, nil)
	check("one that counts no inodes", mount("uncounted", "size=1m,nr_inodes=0"), nil, nil)

	denied := mount("denied", "size=1m,mode=0755")
	own := filepath.Join(denied, "team", "own")
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(good, filepath.Join(denied, "escape")); err != nil {
		t.Fatal(err)
	}
	for _, closed := range []string{denied, filepath.Dir(own)} {
		if err := os.Chmod(closed, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // it ends with the thread's rights
	if err := dropRights(); err != nil {
		t.Fatal(err)
	}
	check("no permission", denied, nil, unix.EACCES)
	check("permission below", denied, []string{"missing", "team", "team/own"}, nil)
	check("a link that leads out", denied, []string{"escape"}, unix.EACCES)
}

// dropRights removes the thread's capability to bypass permissions.
func dropRights() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	return unix.Capset(&header, &data[0])
}

// TestNamedProbe: on a file system without unnamed files, the probe has a name for a moment, which no user sees.
func TestNamedProbe(t *testing.T) {
	dir := t.TempDir()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	fd, err := namedFile(int(d.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("it leaves %v behind (%v)", entries, err)
	}
	if !reserved(hiddenName()) {
		t.Error("users would see its name")
	}
}
