package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// tempered starts a daemon for ada and eve without any time limits except those set by adjust.
func tempered(t *testing.T, adjust ...func(*server.Server)) (*daemontest.Daemon, *configtest.Dir) {
	t.Helper()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("eve", "secret")
	for _, u := range []string{"ada", "eve"} {
		makeBig(t, dir, u)
	}
	adjust = append([]func(*server.Server){server.StallTimeout(time.Hour), server.UnusedTimeout(time.Hour)}, adjust...)
	return daemontest.Start(t, dir, adjust...), dir
}

// makeBig creates a user's file /big.
func makeBig(t *testing.T, dir *configtest.Dir, user string) {
	t.Helper()
	if err := os.MkdirAll(dir.Home(user), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.Home(user), "big"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rawFiles starts SFTP on a channel, opens /big, and returns its handle.
func rawFiles(t *testing.T, c *ssh.Client) (ssh.Channel, []byte) {
	t.Helper()
	ch := daemontest.OpenChannel(t, c)
	if ok, err := ch.SendRequest("subsystem", true, daemontest.Text("sftp")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	const initialize, open, handle = 1, 3, 102
	write(t, ch, daemontest.Packet(initialize, daemontest.Uint32(3)))
	daemontest.ReadPacket(t, ch)
	write(t, ch, daemontest.Packet(open, daemontest.Uint32(1), daemontest.Text("/big"), daemontest.Uint32(1), daemontest.Uint32(0)))
	opened := daemontest.ReadPacket(t, ch)
	if opened[0] != handle {
		t.Fatalf("open: %x", opened)
	}
	return ch, opened[5:]
}

func write(t *testing.T, w io.Writer, p []byte) {
	t.Helper()
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
}

// readFar requests 10 MB, which is several windows.
func readFar(t *testing.T, ch io.Writer, handle []byte) {
	t.Helper()
	const read = 5
	for i := range uint32(40) {
		write(t, ch, daemontest.Packet(read, daemontest.Uint32(i), handle, daemontest.Uint32(0), daemontest.Uint32(0), daemontest.Uint32(255<<10)))
	}
}

// nothingLeft waits until the daemon is back to its initial state.
func nothingLeft(t *testing.T, d *daemontest.Daemon, goroutines, descriptors int) {
	t.Helper()
	d.Eventually(t, "goroutines, descriptors and connections are as before", func() bool {
		_, m := d.Get(t, "/metrics")
		return strings.Contains(m, "sftpd_connections 0\n") && strings.Contains(m, "sftpd_sessions 0\n") &&
			runtime.NumGoroutine() <= goroutines && openDescriptors(t) <= descriptors
	})
}

// atRest counts what a daemon without connections holds, for nothingLeft. A daemon may be ready a moment before the goroutine
// that sweeps idle connections runs.
func atRest(t *testing.T, d *daemontest.Daemon) (goroutines, descriptors int) {
	t.Helper()
	d.Eventually(t, "the daemon sweeps", func() bool {
		stacks := make([]byte, 1<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*Server).sweep("))
	})
	return runtime.NumGoroutine(), openDescriptors(t)
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestTinyPackets: a channel window that is never read and filled byte by byte takes 96 MB of memory. The connection is closed
// long before that.
func TestTinyPackets(t *testing.T) { // not parallel: it measures memory
	for name, tc := range map[string]struct {
		prepare func(*ssh.Client) ssh.Channel
		adjust  func(*server.Server)
		most    int64
	}{
		"no subsystem": {func(c *ssh.Client) ssh.Channel { return daemontest.OpenChannel(t, c) }, func(*server.Server) {}, 90 << 20},
		// A smaller amount, because each packet takes time here.
		"session blocked by its answers": {func(c *ssh.Client) ssh.Channel {
			ch, h := rawFiles(t, c)
			readFar(t, ch, h)
			return ch
		}, server.Unread(8 << 20), 24 << 20},
		"ten channels": {func(c *ssh.Client) ssh.Channel {
			for range 9 {
				daemontest.OpenChannel(t, c)
			}
			return daemontest.OpenChannel(t, c)
		}, server.Unread(8 << 20), 24 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := tempered(t, tc.adjust)
			goroutines, fds := atRest(t, d)
			c := d.MustDial(t, "eve", ssh.Password("secret"))
			ch := tc.prepare(c)
			var err error
			before, sent, held := liveHeap(), 0, int64(0)
			for err == nil && sent < 2<<20 {
				for i := 0; i < 50_000 && err == nil; i++ {
					if _, err = ch.Write([]byte{0}); err == nil {
						sent++
					}
				}
				held = max(held, liveHeap()-before)
			}
			fmt.Printf("MEMORY 1-byte packets, %s: closed after %d packets, at most %.1f MiB live heap (unbounded: 96 MB a channel)\n",
				name, sent, float64(held)/(1<<20))
			if err == nil {
				t.Error("a window of single bytes was taken")
			}
			if held > tc.most {
				t.Errorf("%d bytes held", held)
			}
			if got := d.WaitAudit(t, "logout", 1); got["reason"] != "unread_data" {
				t.Errorf("audit: %v", got)
			}
			c.Close()
			_ = c.Wait()
			nothingLeft(t, d, goroutines, fds)
		})
	}
}

// TestTinyPacketsOfMany: all connections, of one user or several, also share a common limit.
func TestTinyPacketsOfMany(t *testing.T) { // not parallel: it measures memory
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("eve", "secret")
	const ofAll, connections = 8 << 20, 4
	d := daemontest.Start(t, dir, server.Unread(ofAll))
	goroutines, fds := atRest(t, d)
	before := liveHeap()
	var wg sync.WaitGroup
	var clients []*ssh.Client
	for range connections {
		c := d.MustDial(t, "eve", ssh.Password("secret"))
		clients = append(clients, c)
		ch := daemontest.OpenChannel(t, c)
		wg.Go(func() {
			for err, i := error(nil), 0; err == nil && i < 150_000; i++ { // 5 MiB on the wire, more than the share that is always allowed, but allowed to a single connection
				_, err = ch.Write([]byte{0})
			}
		})
	}
	wg.Wait()
	ada := d.MustDial(t, "ada", ssh.Password("secret"))
	daemontest.StillWorks(t, ada)
	if got := d.WaitAudit(t, "logout", 2); got["reason"] != "unread_data" {
		t.Errorf("audit: %v", got)
	}
	held := liveHeap() - before
	fmt.Printf("MEMORY 1-byte packets on %d connections, bound %d MiB: %d closed, %.1f MiB live heap left\n",
		connections, ofAll>>20, len(d.Audit(t, "logout")), float64(held)/(1<<20))
	if held > 2*ofAll {
		t.Errorf("%d bytes held", held)
	}
	for _, c := range append(clients, ada) {
		c.Close()
	}
	nothingLeft(t, d, goroutines, fds)
}

// deaf is a connection that stops reading on request.
type deaf struct {
	net.Conn
	stopped atomic.Bool
	forever chan struct{}
}

func (c *deaf) Read(p []byte) (int, error) {
	if c.stopped.Load() {
		<-c.forever
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// TestPeerThatNeverReads: a client that does not read its answers has its session ended, whether the channel's window or TCP's
// is the one that is closed.
func TestPeerThatNeverReads(t *testing.T) {
	d, _ := tempered(t, server.StallTimeout(3*time.Second))
	goroutines, fds := atRest(t, d)
	c := d.MustDial(t, "eve", ssh.Password("secret"))
	t.Run("channel window", func(t *testing.T) {
		ch, h := rawFiles(t, c)
		before := liveHeap()
		readFar(t, ch, h)
		if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			t.Error(err)
		}
		// Both sides are in this process: 2 MiB of this are the client's window.
		held := liveHeap() - before
		fmt.Printf("MEMORY 40 READs of 255 KiB, unread: %.1f MiB live heap, with 2 MiB of the client's\n", float64(held)/(1<<20))
		if held > 6<<20 {
			t.Errorf("%d bytes held", held)
		}
	})
	t.Run("at a time", func(t *testing.T) { neverReads(t, d) })
	_ = c.Wait()
	d.WaitAudit(t, "logout", 3) // the client may learn of its end first
	reasons := map[any]int{}
	for _, line := range d.Audit(t, "logout") {
		reasons[line["reason"]]++
	}
	if reasons["client_not_reading"] != 2 || reasons[nil] != 1 { // a client that leaves needs no reason
		t.Errorf("audit: %v", reasons)
	}
	nothingLeft(t, d, goroutines, fds)
}

func neverReads(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	t.Run("TCP window", func(t *testing.T) {
		t.Parallel()
		raw := &deaf{Conn: daemontest.Connect(t, d.Addr), forever: make(chan struct{})}
		sc, channels, requests, err := ssh.NewClientConn(raw, d.Addr, &ssh.ClientConfig{
			User: "eve", Auth: []ssh.AuthMethod{ssh.Password("secret")},
			HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		if err != nil {
			t.Fatal(err)
		}
		c := ssh.NewClient(sc, channels, requests)
		var chs []ssh.Channel
		var handles [][]byte
		for range 10 { // windows of 20 MiB, more than TCP buffers
			ch, h := rawFiles(t, c)
			chs, handles = append(chs, ch), append(handles, h)
		}
		raw.stopped.Store(true)
		for i, ch := range chs {
			readFar(t, ch, handles[i])
		}
		d.Eventually(t, "the connection is closed", func() bool {
			return slices.ContainsFunc(d.Audit(t, "logout"), func(e map[string]any) bool { return e["source"] == raw.LocalAddr().String() })
		})
		close(raw.forever)
		c.Close()
	})
	t.Run("a slow reader stays", func(t *testing.T) {
		t.Parallel()
		c := d.MustDial(t, "ada", ssh.Password("secret"))
		ch, h := rawFiles(t, c)
		readFar(t, ch, h)
		part := make([]byte, 256<<10)
		for range 36 { // 9 MiB, longer than the timeout
			time.Sleep(120 * time.Millisecond)
			if _, err := io.ReadFull(ch, part); err != nil {
				t.Fatal(err)
			}
		}
		daemontest.StillWorks(t, c)
		c.Close()
		d.Eventually(t, "it has left", func() bool {
			return slices.ContainsFunc(d.Audit(t, "logout"), func(e map[string]any) bool { return e["user"] == "ada" })
		})
	})
}

// TestOpenFilesOfAll: one user gets half of the files, and others can still log in and work.
func TestOpenFilesOfAll(t *testing.T) {
	const limit = 100
	d, _ := tempered(t, server.OpenFiles(limit))
	goroutines, fds := atRest(t, d)
	openAll := func(user string) (n int, c *ssh.Client) {
		c = d.MustDial(t, user, ssh.Password("secret"))
		files := daemontest.StartSFTP(t, c)
		for n < 200 {
			if _, err := files.Open("/big"); err != nil {
				if !strings.Contains(err.Error(), "Too many open files") {
					t.Errorf("%s: %v", user, err)
				}
				break
			}
			n++
		}
		if _, err := files.Open("/none"); err == nil || !strings.Contains(err.Error(), "Too many open files") {
			t.Errorf("%s: one more: %v", user, err)
		}
		if _, err := files.ReadDir("/"); err == nil {
			t.Errorf("%s: a directory more", user)
		}
		if _, err := files.Stat("/big"); err != nil {
			t.Errorf("%s: what needs no handle: %v", user, err)
		}
		return n, c
	}
	n, eve := openAll("eve")
	const mount = 1 // also counts
	if n != limit/2-mount {
		t.Errorf("the first has %d of %d", n, limit)
	}
	n, ada := openAll("ada")
	if n != limit/4-mount {
		t.Errorf("the second has %d of %d", n, limit)
	}
	eve.Close()
	ada.Close()
	nothingLeft(t, d, goroutines, fds)
	n, c := openAll("ada")
	if n != limit/2-mount {
		t.Errorf("after all is closed: %d of %d", n, limit)
	}
	c.Close()
	nothingLeft(t, d, goroutines, fds)
}

// TestFewDescriptors: in a process with a low descriptor limit, one user opens as many files as it can on many channels, and
// another can still log in and work.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	const variable, few = "SFTPD_TEST_NOFILE", 256
	if os.Getenv(variable) == "" {
		test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFewDescriptors$", "-test.v")
		test.Env = append(os.Environ(), variable+"=1")
		if out, err := test.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: few}); err != nil {
		t.Fatal(err)
	}
	d, _ := tempered(t)
	var channels []*sftp.Client
	for range 3 {
		c := d.MustDial(t, "eve", ssh.Password("secret"))
		for range 5 {
			channels = append(channels, daemontest.StartSFTP(t, c))
		}
	}
	opened := 0
	for _, files := range channels {
		for opened < few {
			if _, err := files.Open("/big"); err != nil {
				if !strings.Contains(err.Error(), "Too many open files on this server") {
					t.Errorf("after %d: %v", opened, err)
				}
				break
			}
			opened++
		}
	}
	const mounts = 3 // one for each of its connections
	if want := ((few-server.ReservedDescriptors)/3+1)/2 - mounts; opened != want {
		t.Errorf("one user opened %d, not %d, of %d", opened, want, few)
	}
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	daemontest.StillWorks(t, c)
	files := daemontest.StartSFTP(t, c)
	for range 10 {
		if _, err := files.Open("/big"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeyExchangeFlood: a client that constantly exchanges keys is slowed down, and no other client is.
func TestKeyExchangeFlood(t *testing.T) {
	t.Parallel()
	d, _ := tempered(t)
	var exchanges atomic.Int64
	begin := time.Now()
	c, err := ssh.Dial("tcp", d.Addr, &ssh.ClientConfig{
		Config: ssh.Config{RekeyThreshold: 256},
		User:   "eve", Auth: []ssh.AuthMethod{ssh.Password("secret")},
		HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { exchanges.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	files := daemontest.StartSFTP(t, d.MustDial(t, "ada", ssh.Password("secret")))
	go func() {
		for {
			if _, _, err := c.SendRequest("x", true, make([]byte, 300)); err != nil {
				return
			}
		}
	}()
	for time.Since(begin) < 4*time.Second || exchanges.Load() < 8 && time.Since(begin) < time.Minute {
		if _, err := files.ReadDir("/"); err != nil {
			t.Fatal(err)
		}
	}
	n, most := exchanges.Load(), int64(8+1+time.Since(begin).Seconds())
	fmt.Printf("REKEY %d exchanges in %.1f s\n", n, time.Since(begin).Seconds())
	if n > most || n < 8 {
		t.Errorf("%d exchanges, want at most %d", n, most)
	}
}
