package durable

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// steps at which the daemon kills itself: before a record is written, before it is on the disk, between the record and the
// rename, between the rename and the event, before the answer, and before and after receipts are put where users find them.
var steps = []string{"append", "sync", "prepared", "renamed", "recorded", "keep", "kept"}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKillAtEachStep: an upload that was answered with OK has an event, with one ID, in the order of its user; no event is
// without its file, and no file without its event, whatever the client was told. EVENTS_KILLS is how often the daemon is killed.
func TestKillAtEachStep(t *testing.T) {
	began := time.Now()
	c := newCampaign(t, 3)
	for i := range number(t, "EVENTS_KILLS", 60) {
		step := steps[i%len(steps)]
		if !t.Run(fmt.Sprintf("%d-%s", i, step), func(t *testing.T) {
			if i%4 == 3 && startAndDie(t, c.dir, steps[i/4%2]) { // while it recovers
				c.kills++
			}
			d := start(t, c.dir, step, 1+rand.IntN(12))
			c.open(t, d)
			c.receive(t, d, false)
			arm(t, d)
			var working sync.WaitGroup
			for _, user := range c.users {
				working.Go(func() { c.work(d, user, 1000) })
			}
			select {
			case <-d.Done():
				c.kills++
			case <-time.After(60 * daemontest.Second()):
				t.Fatal("the step was not reached")
			}
			working.Wait()
		}) {
			return
		}
	}
	d := start(t, c.dir, "", 0)
	c.open(t, d)
	c.receive(t, d, true)
	c.checkReceipts(t, d)
	c.report(t, "at each step", began)
}

// TestKillUnderLoad kills the daemon at random, for EVENTS_SECONDS.
func TestKillUnderLoad(t *testing.T) {
	began := time.Now()
	c := newCampaign(t, 8)
	end := began.Add(time.Duration(number(t, "EVENTS_SECONDS", 20)) * time.Second)
	for i := 0; time.Now().Before(end); i++ {
		if !t.Run(strconv.Itoa(i), func(t *testing.T) { c.killed(t) }) {
			return
		}
	}
	d := start(t, c.dir, "", 0)
	c.open(t, d)
	c.receive(t, d, true)
	c.checkReceipts(t, d)
	c.report(t, "under load", began)
}

func (c *campaign) killed(t *testing.T) {
	t.Helper()
	d := start(t, c.dir, "", 0)
	var working sync.WaitGroup
	for _, user := range c.users {
		working.Go(func() { c.work(d, user, 1_000_000) })
	}
	stop := make(chan struct{})
	working.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				_ = c.relayOnce(t, d)
			}
		}
	})
	time.Sleep(time.Duration(200+rand.IntN(1300)) * time.Millisecond)
	close(stop)
	if err := syscall.Kill(d.PID, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-d.Done()
	working.Wait()
	c.kills++
}

// relayOnce takes some events while the daemon may be killed.
func (c *campaign) relayOnce(t *testing.T, d *daemontest.Daemon) error {
	t.Helper()
	lines, err := c.relay.Pull(t.Context(), d.Health, events.Query{Sink: "jobs", Limit: 100})
	if err != nil || len(lines) == 0 {
		return err
	}
	for _, l := range lines {
		e, err := events.Decode(l.Event)
		if err != nil {
			t.Error(err)
			return err
		}
		c.take(e, l.Event)
	}
	return c.relay.Ack(t.Context(), d.Health, events.Ack{Sink: "jobs", Cursor: lines[len(lines)-1].Cursor})
}
