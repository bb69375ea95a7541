package subsystem

import (
	"context"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

func ready() (func() uint32, bool) { return func() uint32 { return 0 }, true }

// TestOnlySFTP: a subsystem with a similar name is not accepted.
func TestOnlySFTP(t *testing.T) {
	for payload, want := range map[string]bool{
		sftp: true, "\x00\x00\x00\x04SFTP": false, "\x00\x00\x00\x05sftp\x00": false, "\x00\x00\x00\x03sft": false, "\x00\x00\x00\x00": false,
		sftp + "\x00": false, "sftp": false, "": false, "\x00\x00\x00\x05sftp": false,
	} {
		if isSFTP([]byte(payload)) != want {
			t.Errorf("%q: %v", payload, !want)
		}
	}
}

// TestNoAnswerWanted: a request that wants no reply gets none, and is still served.
func TestNoAnswerWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		c := serve(t, func() (func() uint32, bool) { return func() uint32 { <-end; return 0 }, true })
		for _, name := range []string{"env", "subsystem"} {
			if _, err := c.SendRequest(name, false, []byte(sftp)); err != nil {
				t.Fatal(err)
			}
		}
		if c.ask(t, "env", "") || c.ask(t, "subsystem", sftp) { // an answer to an earlier one would come first
			t.Error("served, or an answer that was not wanted")
		}
		close(end)
		for r := range c.requests {
			if r.Type != "exit-status" || r.WantReply || string(r.Payload) != "\x00\x00\x00\x00" {
				t.Errorf("%s, %v, %q", r.Type, r.WantReply, r.Payload)
			}
		}
		<-c.served
	})
}

// TestGoneWhilePreparing: if the connection ended in the meantime, nothing is sent.
func TestGoneWhilePreparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := serveIn(ctx, t, func() (func() uint32, bool) { cancel(); return nil, false })
		if c.ask(t, "subsystem", sftp) {
			t.Error("served")
		}
		_ = c.Close()
		if said, err := io.ReadAll(c.Stderr()); err != nil || len(said) > 0 {
			t.Errorf("%q, %v", said, err)
		}
		<-c.served
	})
}

// TestWhatTheClientReads: the message when directories cannot be opened is written for people, and says where to look.
func TestWhatTheClientReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func() (func() uint32, bool) { return nil, false })
		c.ask(t, "subsystem", sftp)
		_ = c.Close()
		said, err := io.ReadAll(c.Stderr())
		if want := "The server cannot open your directories now. Its log contains the reason.\r\n"; string(said) != want || err != nil {
			t.Errorf("%q, %v", said, err)
		}
		if <-c.served; !slices.Equal(c.refused, []event.Reason{event.RequestRefused}) || c.panics > 0 {
			t.Errorf("refused %v, %d subsystems ended", c.refused, c.panics)
		}
	})
}

// TestLeavesUnused: nothing is reported later about a channel that its client has closed, and the end of a subsystem is
// reported once.
func TestLeavesUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unused, used := serve(t, ready), serve(t, ready)
		_ = unused.Close()
		<-unused.served
		used.ask(t, "subsystem", sftp)
		<-used.served
		time.Sleep(time.Hour)
		if len(unused.refused)+len(used.refused) > 0 || unused.panics != 0 || used.panics != 1 || used.panicked != nil {
			t.Errorf("refused %v, %v; ended %d, %d", unused.refused, used.refused, unused.panics, used.panics)
		}
	})
}
