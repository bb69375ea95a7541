// Package delayline connects two network namespaces with a line that has any round-trip time. It works in user space, because
// not every kernel has the module for it (tc-netem(8)). The namespaces belong to the test, and disappear when it ends. It needs
// root.
package delayline

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// mtu is the longest packet of the line. TCP sends many packets of the usual size as one, which a tunnel without offloading
	// cannot do.
	mtu = 60_000
	// queued is how many packets the line holds, about 30 of the largest windows.
	queued = 8 << 10
	// buffers is the maximum size of TCP's buffers, large enough not to limit a transfer.
	buffers = 64 << 20
)

// Line connects two namespaces.
type Line struct {
	Client, Server *Namespace
	oneWay         atomic.Int64
}

// New creates a line. Where that is not possible it skips the test, or fails it in CI.
func New(t *testing.T) *Line {
	t.Helper()
	if err := available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no delay line: %v, and CI=true", err)
		}
		t.Skipf("no delay line: %v", err)
	}
	l := &Line{}
	var ends [2]*os.File
	l.Client, ends[0] = namespace(t, "10.199.0.1")
	l.Server, ends[1] = namespace(t, "10.199.0.2")
	t.Cleanup(func() {
		for _, end := range ends {
			end.Close()
		}
	})
	l.pump(ends[0], ends[1])
	l.pump(ends[1], ends[0])
	return l
}

func available() error {
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	tun.Close()
	if os.Geteuid() != 0 {
		return os.ErrPermission
	}
	_, err = exec.LookPath("ip")
	return err
}

// SetRoundTrip changes the round trip for all packets from now on.
func (l *Line) SetRoundTrip(d time.Duration) { l.oneWay.Store(int64(d / 2)) }

type packet struct {
	data []byte
	due  time.Time
}

// pump carries packets from one end to the other until they are closed.
func (l *Line) pump(from io.Reader, to io.Writer) {
	packets := make(chan packet, queued)
	go func() {
		defer close(packets)
		buf := make([]byte, mtu)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			packets <- packet{append([]byte(nil), buf[:n]...), time.Now().Add(time.Duration(l.oneWay.Load()))}
		}
	}()
	go func() {
		for p := range packets {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // a packet that is lost, or the end
		}
	}()
}

// Namespace is a network namespace with one end of the line, and a thread in it.
type Namespace struct {
	// Addr is its address on the line.
	Addr string
	work chan func()
}

func namespace(t *testing.T, addr string) (*Namespace, *os.File) {
	t.Helper()
	n, end := &Namespace{Addr: addr, work: make(chan func())}, (*os.File)(nil)
	entered := make(chan error)
	go func() {
		// The thread is not unlocked, so that it ends with the goroutine and is not reused by another.
		runtime.LockOSThread()
		entered <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.work {
			f()
		}
	}()
	err := <-entered
	t.Cleanup(func() { close(n.work) })
	if err == nil {
		n.Do(func() { end, err = n.connect() })
	}
	if err != nil {
		t.Fatalf("network namespace: %v", err)
	}
	return n, end
}

// Do runs f on a thread that is in the namespace. Sockets that f creates, and processes that it starts, stay in it.
func (n *Namespace) Do(f func()) {
	done := make(chan struct{})
	n.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// Listen listens on a port that the kernel chooses.
func (n *Namespace) Listen(t *testing.T) (l net.Listener) {
	t.Helper()
	var err error
	n.Do(func() {
		var lc net.ListenConfig
		l, err = lc.Listen(t.Context(), "tcp", n.Addr+":0")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Run runs a program in the namespace until it exits.
func (n *Namespace) Run(cmd *exec.Cmd) (out []byte, err error) {
	var all strings.Builder
	cmd.Stdout, cmd.Stderr = &all, &all
	n.Do(func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	return []byte(all.String()), err
}

// connect creates the namespace's end of the line.
func (n *Namespace) connect() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	const device = "line"
	request, err := unix.NewIfreq(device)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, err
	}
	commands := fmt.Sprintf(`set -e
ip link set lo up
ip address add %s/24 dev %s
ip link set %s mtu %d txqueuelen %d up
echo 4096 131072 %d > /proc/sys/net/ipv4/tcp_rmem
echo 4096 131072 %d > /proc/sys/net/ipv4/tcp_wmem
`, n.Addr, device, device, mtu, queued, buffers, buffers)
	if out, err := exec.Command("sh", "-c", commands).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.NewFile(uintptr(fd), device), nil
}
