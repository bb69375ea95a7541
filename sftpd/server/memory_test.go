package server_test

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestMemoryOfSessions measures the memory held by idle sessions, including the client's side, which is in the same process.
func TestMemoryOfSessions(t *testing.T) { // not parallel: it measures memory
	d, _ := tempered(t)
	daemontest.StillWorks(t, d.MustDial(t, "ada", ssh.Password("secret")))
	const sessions = 8
	stack := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.StackInuse)
	}
	heap, stacks := liveHeap(), stack()
	for range sessions {
		rawFiles(t, d.MustDial(t, "eve", ssh.Password("secret")))
	}
	grown := liveHeap() - heap
	fmt.Printf("MEMORY idle session with an open file, both sides: %d KiB live heap, %d KiB stack\n",
		grown/sessions>>10, (stack()-stacks)/sessions>>10)
	if grown > sessions<<20 {
		t.Errorf("%d bytes for %d sessions", grown, sessions)
	}
	heap = liveHeap()
	busy := d.MustDial(t, "eve", ssh.Password("secret"))
	for range 10 {
		ch, h := rawFiles(t, busy)
		readFar(t, ch, h)
	}
	if _, _, err := busy.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		t.Error(err)
	}
	grown = liveHeap() - heap
	fmt.Printf("MEMORY ten channels with 40 READs of 255 KiB each, unread: %.1f MiB live heap, with 20 MiB of the client's\n",
		float64(grown)/(1<<20))
	if grown > 32<<20 {
		t.Errorf("%d bytes for ten channels", grown)
	}
}
