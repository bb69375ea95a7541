package durable

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestStoppedDaemon: a daemon that was stopped for longer than it waits for a volume, together with its virtual machine or
// because it got no processor, does not consider the volume slow when it continues: uploads that waited for their events are
// answered with OK.
func TestStoppedDaemon(t *testing.T) {
	c := newCampaign(t, 16)
	d := start(t, c.dir, "", 0)
	c.open(t, d)
	var answered, failed atomic.Int64
	var working sync.WaitGroup
	end := make(chan struct{})
	t.Cleanup(working.Wait)
	stop := sync.OnceFunc(func() { close(end) })
	t.Cleanup(stop) // before the other one
	for i, user := range c.users {
		working.Go(func() {
			if err := c.uploads(d, user, int64(i+1), &answered, end); err != nil {
				t.Errorf("%s: %v", user, err)
				failed.Add(1)
			}
		})
	}
	more := func(what string) {
		t.Helper()
		want := answered.Load() + 200
		d.Eventually(t, what, func() bool { return answered.Load() >= want || failed.Load() > 0 })
	}
	for range 3 {
		more("uploads are recorded")
		if err := syscall.Kill(d.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		if err := syscall.Kill(d.PID, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	more("uploads are recorded when it continues")
	st, err := c.relay.Status(t.Context(), d.Health)
	if stop(); err != nil || st.Lost != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	fmt.Printf("EVENTS stopped: answered=%d failed=%d\n", answered.Load(), failed.Load())
}

// uploads sends files of one size until the end, or until one fails.
func (c *campaign) uploads(d *daemontest.Daemon, user string, size int64, answered *atomic.Int64, end <-chan struct{}) error {
	conn, err := d.Dial(user, ssh.PublicKeys(c.key))
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := sftp.NewClient(conn)
	if err != nil {
		return err
	}
	for {
		select {
		case <-end:
			return nil
		default:
		}
		if err := c.upload(client, upload{"/again", size}, false); err != nil {
			return err
		}
		answered.Add(1)
	}
}
