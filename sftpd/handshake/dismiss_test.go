package handshake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/handshake/handshaketest"
)

func TestBanner(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "one": "one\r\n", "one\n": "one\r\n", "one\n\n\ttwo\n": "one\r\n\r\n\ttwo\r\n", "\n": "\r\n",
	} {
		if got := Banner(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// dismissed logs a client in over memory and dismisses it. The channel returns how long that took.
func dismissed(t *testing.T, text string) (ssh.Conn, <-chan time.Duration) {
	t.Helper()
	signer := handshaketest.Key(t)
	here, there := handshaketest.Pipe()
	took := make(chan time.Duration, 1)
	go func() {
		h := New(context.Background(), there, "SSH-2.0-test", time.Now().Add(time.Minute), StandardLimits())
		c, failure := h.LogIn(&ssh.ServerConfig{NoClientAuth: true}, Config{HostKeys: []ssh.MultiAlgorithmSigner{signer}})
		if failure != nil {
			t.Error(failure.Err)
			close(took)
			return
		}
		begin := time.Now()
		h.Dismiss(c, text)
		took <- time.Since(begin)
	}()
	return handshaketest.Dial(t, here), took
}

// TestDismiss: a client that opens a channel is told why it cannot have one, and is disconnected soon.
func TestDismiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, took := dismissed(t, "no room")
		time.Sleep(time.Second)
		for range 2 {
			_, _, err := c.OpenChannel("session", nil)
			if refused, ok := errors.AsType[*ssh.OpenChannelError](err); !ok || refused.Reason != ssh.ResourceShortage || refused.Message != "no room" {
				t.Fatalf("%v", err)
			}
		}
		if d := <-took; d != time.Second+lastFarewell {
			t.Errorf("ended after %s", d)
		}
		_ = c.Wait()
	})
}

// TestDismissSilent: a client that requests nothing is disconnected soon as well, and at once if there is nothing to tell it.
func TestDismissSilent(t *testing.T) {
	for text, want := range map[string]time.Duration{"no room": farewellTime, "": 0} {
		synctest.Test(t, func(t *testing.T) {
			c, took := dismissed(t, text)
			if d := <-took; d != want {
				t.Errorf("%q: ended after %s", text, d)
			}
			_ = c.Wait()
		})
	}
}
