package server

import (
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
)

// farewells are what a client hears of a login that had valid credentials and no place. All of it the user may know.
var farewells = map[event.Reason]string{
	event.MaxConnectionsOfUser: "this user has as many connections as it may have; close one and try again",
	event.ShuttingDown:         "the server is shutting down; try again",
	event.ChangedDuringLogin:   "the login was changed meanwhile; try again",
}

const (
	// farewellTime is how long a client has to open a channel and be told, and lastFarewell how long it may stay after that.
	farewellTime = 2 * time.Second
	lastFarewell = 500 * time.Millisecond
)

// dismiss ends a login that is not to become a session. x/crypto sends no SSH_MSG_DISCONNECT, so the reason is the answer
// to the first request for a channel, which clients show (RFC 4254 section 5.1). Until then the login is one in
// progress, and counts as such.
func (l *login) dismiss(sc handshake.Connection, text string) {
	go ssh.DiscardRequests(sc.Requests)
	if text == "" {
		_ = sc.Close() // nothing is to be said
	}
	// Also of a client that does not read.
	_ = l.raw.SetDeadline(time.Now().Add(farewellTime + lastFarewell))
	end := time.AfterFunc(farewellTime, func() { _ = sc.Close() }) // its end is what is wanted
	defer end.Stop()
	for nc := range sc.Channels { // until the end
		_ = nc.Reject(ssh.ResourceShortage, text) // a broken connection ends the loop
		end.Reset(lastFarewell)
	}
	_ = sc.Close() // its end is what is wanted
}
