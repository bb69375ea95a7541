package sftp

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// stick makes every read of a file block in the kernel until free is called, as on a volume that does not answer: the kernel
// asks a listener of fanotify(7) for permission. reached signals that a read is blocked.
func stick(t *testing.T, path string) (reached <-chan struct{}, free func()) {
	t.Helper()
	listener, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	if err == nil {
		err = unix.FanotifyMark(listener, unix.FAN_MARK_ADD, unix.FAN_ACCESS_PERM, unix.AT_FDCWD, path)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("reads cannot be held up, and CI=true: %v", err)
		}
		t.Skipf("reads cannot be held up: %v", err)
	}
	f := os.NewFile(uintptr(listener), "fanotify")
	t.Cleanup(func() { f.Close() }) // releases all blocked reads
	asked, leave := make(chan struct{}, 100), make(chan struct{})
	go func() {
		var event [unix.FAN_EVENT_METADATA_LEN]byte
		for {
			if _, err := f.Read(event[:]); err != nil {
				return
			}
			asked <- struct{}{}
			<-leave
			fd := event[16:20] // of struct fanotify_event_metadata
			answer := binary.NativeEndian.AppendUint32(append([]byte(nil), fd...), unix.FAN_ALLOW)
			_, _ = f.Write(answer)
			unix.Close(int(int32(binary.NativeEndian.Uint32(fd))))
		}
	}()
	return asked, func() { close(leave) }
}

// TestSlowVolume: a request that the volume does not answer delays its own session and no other, even with a single processor.
// A session that must end does so when the request ends; its client's connection is closed at once.
func TestSlowVolume(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	tr, dir := tree(t, vfs.ReadWrite)
	for _, name := range []string{"stuck", "fine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reached, free := stick(t, filepath.Join(dir, "stuck"))

	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	var got events
	go func() { ended <- Serve(ctx, far, tr, Options{Observe: got.observe}) }()
	slow := &raw{t: t, conn: near}
	slow.write(packet(typeInit, uint32(3)))
	slow.read()
	h := slow.open("/stuck", flagRead)
	slow.write(append(packet(typeRead, 7, h, uint64(0), 100), packet(typeStat, 8, "/fine")...))
	<-reached

	// A session of another channel on the same tree.
	c, _, _ := dialRaw(t, tr, Options{})
	for range 20 {
		g := c.open("/fine", flagRead|flagWrite)
		if got := c.content(g, 0, 100); got != "fine" {
			t.Fatal(got)
		}
		if got := c.status(typeWrite, g, uint64(0), "fine"); got != StatusOK {
			t.Fatal(got)
		}
		if got := c.status(typeClose, g); got != StatusOK {
			t.Fatal(got)
		}
	}
	cancel()
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection of a canceled session is open")
	}
	select {
	case err := <-ended:
		t.Error("the session ended with a request in progress:", err)
	case <-time.After(50 * time.Millisecond):
	}
	free()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	all := got.take()
	if len(all) != 1 || all[0].(Transfer).Result != Aborted {
		t.Errorf("%+v", all)
	}
}
