package subsystem

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake/handshaketest"
)

// channel is the client's side of a served channel.
type channel struct {
	ssh.Channel
	requests <-chan *ssh.Request
	served   <-chan struct{}

	mu       sync.Mutex
	refused  []event.Reason
	panicked any
	panics   int // how often Panicked was called
}

// serve opens a channel over an in-memory connection and serves it.
func serve(t *testing.T, prepare func() (func() uint32, bool)) *channel {
	t.Helper()
	return serveIn(context.Background(), t, prepare)
}

func serveIn(ctx context.Context, t *testing.T, prepare func() (func() uint32, bool)) *channel {
	t.Helper()
	here, there := handshaketest.Pipe()
	signer := handshaketest.Key(t)
	c := &channel{}
	served := make(chan struct{})
	c.served = served
	go func() {
		defer close(served)
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		sc, channels, requests, err := ssh.NewServerConn(there, config)
		if err != nil {
			t.Error(err)
			return
		}
		go ssh.DiscardRequests(requests)
		ch, wanted, err := (<-channels).Accept()
		if err != nil {
			t.Error(err)
			return
		}
		Serve(ctx, ch, wanted, Options{
			Prepare: prepare, Unused: UnusedTimeout, Panicked: c.ended,
			Refused: func(r event.Reason) {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.refused = append(c.refused, r)
			},
		})
		_ = sc.Close()
	}()
	ch, answers, err := handshaketest.Dial(t, here).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Channel, c.requests = ch, answers
	return c
}

func (c *channel) ended(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panicked = v
	c.panics++
}

func (c *channel) ask(t *testing.T, name, payload string) bool {
	t.Helper()
	ok, err := c.SendRequest(name, true, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

const sftp = "\x00\x00\x00\x04sftp"

// TestOnce: the subsystem starts once, and its exit status is sent before the channel is closed.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, prepared := make(chan uint32), 0
		c := serve(t, func() (func() uint32, bool) {
			prepared++
			return func() uint32 { return <-end }, true
		})
		if c.ask(t, "env", "\x00\x00\x00\x01A\x00\x00\x00\x01b") || c.ask(t, "shell", "") || c.ask(t, "subsystem", "\x00\x00\x00\x03scp") {
			t.Error("something else than sftp is served")
		}
		if c.ask(t, "exec", sftp) || c.ask(t, "env", sftp) {
			t.Error("something that is not a subsystem counts as one")
		}
		if !c.ask(t, "subsystem", sftp) || c.ask(t, "subsystem", sftp) || c.ask(t, "exec", sftp) {
			t.Error("the first request for sftp is not the one that is served")
		}
		time.Sleep(2 * UnusedTimeout)
		select {
		case <-c.served:
			t.Fatal("the channel was closed")
		default:
		}
		end <- 7
		var told []string
		for r := range c.requests {
			told = append(told, r.Type+string(r.Payload))
		}
		<-c.served
		if !slices.Equal(told, []string{"exit-status\x00\x00\x00\x07"}) {
			t.Errorf("told %q", told)
		}
		refused := slices.Repeat([]event.Reason{event.RequestRefused}, 5) // env is not a program
		if prepared != 1 || !slices.Equal(c.refused, refused) {
			t.Errorf("prepared %d times, refused %v", prepared, c.refused)
		}
	})
}

// TestUnused: a channel without a subsystem is closed at its timeout, and not before.
func TestUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func() (func() uint32, bool) { panic("prepared") })
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		<-c.served
		if took := time.Since(begin); took != time.Minute || !slices.Equal(c.refused, []event.Reason{event.UnusedChannel}) {
			t.Errorf("after %s: %v", took, c.refused)
		}
	})
}

// TestCannotPrepare: the client is told why, and may try again.
func TestCannotPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := serve(t, func() (func() uint32, bool) {
			tries++
			return func() uint32 { return 0 }, tries > 1
		})
		if c.ask(t, "subsystem", sftp) {
			t.Error("it starts")
		}
		if !c.ask(t, "subsystem", sftp) {
			t.Error("it does not start")
		}
		said, err := io.ReadAll(c.Stderr())
		if err != nil || strings.Count(string(said), "cannot open your directories") != 1 {
			t.Errorf("%q, %v", said, err)
		}
		<-c.served
	})
}

// TestPanic: it ends the channel.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func() (func() uint32, bool) { return func() uint32 { panic("served") }, true })
		c.ask(t, "subsystem", sftp)
		if <-c.served; c.panicked != "served" {
			t.Errorf("%v", c.panicked)
		}
	})
}

// TestClientLeaves: the channel's end waits for the end of the subsystem.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := serve(t, func() (func() uint32, bool) {
			return func() uint32 {
				time.Sleep(time.Second)
				ended = true
				return 0
			}, true
		})
		c.ask(t, "subsystem", sftp)
		_ = c.Close()
		if <-c.served; !ended {
			t.Error("served before the subsystem ended")
		}
	})
}
