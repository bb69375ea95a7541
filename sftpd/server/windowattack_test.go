package server_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// grown uploads on a new channel until its window has reached its maximum, and then blocks the session on answers that are not
// read.
func grown(t *testing.T, c *ssh.Client) ssh.Channel {
	t.Helper()
	ch, handle := rawFiles(t, c)
	const open, writing = 3, 6
	write(t, ch, daemontest.Packet(open, daemontest.Uint32(2), daemontest.Text("/up"), daemontest.Uint32(0x1a), daemontest.Uint32(0))) // WRITE, CREAT, TRUNC
	up := daemontest.ReadPacket(t, ch)[5:]
	block := string(make([]byte, 32<<10))
	for i := range uint32(uploaded / len(block)) { // the answers fit the client's window
		write(t, ch, daemontest.Packet(writing, daemontest.Uint32(i), up, daemontest.Uint32(0), daemontest.Uint32(0), daemontest.Text(block)))
	}
	readFar(t, ch, handle)
	return ch
}

// uploaded is the amount of data after which the window has grown from 2 to 16 MiB: it doubles after each of three round trips
// in which three quarters of it arrive. perRound is the amount per round trip, depending on the machine's speed.
const uploaded, perRound = 64 << 20, 12 << 20

// flood sends until nothing is accepted for a while, or the connection is closed, and returns how much was accepted and whether
// it was closed.
func flood(ch ssh.Channel) (taken int64, closed bool) {
	var sent, ended atomic.Int64
	go func() {
		block := make([]byte, 32<<10)
		for {
			n, err := ch.Write(block)
			sent.Add(int64(n))
			if err != nil {
				ended.Store(1)
				return
			}
		}
	}()
	for last := int64(-1); last != sent.Load() && ended.Load() == 0; time.Sleep(2 * time.Second) {
		last = sent.Load()
	}
	return sent.Load(), ended.Load() == 1
}

// TestLargeWindowsAreBounded: ten connections of two users, each with the largest possible window, fill them while their
// sessions are blocked. What the daemon holds is bounded by the budget, and others work as before.
func TestLargeWindowsAreBounded(t *testing.T) { // not parallel: it measures memory
	dir := configtest.New(t)
	for _, u := range []string{"ada", "eve", "bob"} {
		dir.AddUser(u, "secret")
		makeBig(t, dir, u)
	}
	var distance atomic.Int64
	d := daemontest.Start(t, dir, server.RoundTrip(func() time.Duration { return time.Duration(distance.Load()) }),
		server.StallTimeout(time.Hour), server.UnusedTimeout(time.Hour)) // no answers are read for the whole time
	far := d.MustDial(t, "bob", ssh.Password("secret"))
	begin := time.Now()
	grown(t, far)
	distance.Store(int64(time.Since(begin)) * perRound / uploaded)
	far.Close()
	d.WaitAudit(t, "logout", 1)
	goroutines, fds := atRest(t, d)
	before := liveHeap()
	var clients []*ssh.Client
	var channels []ssh.Channel
	for i := range 10 {
		c := d.MustDial(t, []string{"ada", "eve"}[i%2], ssh.Password("secret"))
		clients, channels = append(clients, c), append(channels, grown(t, c))
	}
	var flooding sync.WaitGroup
	var mu sync.Mutex
	var all, most int64
	closed := 0
	for _, ch := range channels {
		flooding.Go(func() {
			n, ended := flood(ch)
			mu.Lock()
			defer mu.Unlock()
			all, most = all+n, max(most, n)
			if ended {
				closed++
			}
		})
	}
	flooding.Wait()
	held := liveHeap() - before
	fmt.Printf("MEMORY ten uploads with large windows that are not read: %.1f MiB taken, %.1f MiB at most by one, %d closed, %.1f MiB live heap\n",
		float64(all)/(1<<20), float64(most)/(1<<20), closed, float64(held)/(1<<20))
	// Unread data of all connections is limited by the ledger, and by the budget beyond that; the test's clients hold replies.
	const ledger, budget, replies = 128 << 20, 64 << 20, 10 * 4 << 20
	if held > ledger+budget+replies {
		t.Errorf("%d bytes held", held)
	}
	if most < 10<<20 {
		t.Errorf("no window grew: %d bytes at most", most)
	}
	for _, line := range d.Audit(t, "logout")[1:] {
		if line["reason"] != "unread_data" {
			t.Errorf("audit: %v", line)
		}
	}
	bob := d.MustDial(t, "bob", ssh.Password("secret"))
	daemontest.StillWorks(t, bob)
	for _, c := range append(clients, bob) {
		c.Close()
	}
	nothingLeft(t, d, goroutines, fds)
}
