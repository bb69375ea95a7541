package handshake

import (
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// farewellTime is how long a client has to open a channel and receive the message, and lastFarewell how long it may stay
	// after that.
	farewellTime = 2 * time.Second
	lastFarewell = 500 * time.Millisecond
)

// Dismiss ends an authenticated connection that is not admitted as a session, and returns when it has ended. x/crypto sends
// no SSH_MSG_DISCONNECT, so the text, "" for none, is the answer to the first request for a channel, which clients show
// (RFC 4254 section 5.1).
func (h *Handshake) Dismiss(c Connection, text string) {
	go ssh.DiscardRequests(c.Requests)
	if text == "" {
		_ = c.Close() // there is nothing to send
	}
	// This also bounds a client that does not read.
	_ = h.wire.SetDeadline(time.Now().Add(farewellTime + lastFarewell))
	end := time.AfterFunc(farewellTime, func() { _ = c.Close() }) // it is being closed
	defer end.Stop()
	for nc := range c.Channels { // until the end
		_ = nc.Reject(ssh.ResourceShortage, text) // a broken connection ends the loop
		end.Reset(lastFarewell)
	}
	_ = c.Close() // it is being closed
}
