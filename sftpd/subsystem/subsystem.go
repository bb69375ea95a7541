// Package subsystem serves the requests on a session channel: one subsystem, "sftp", is started, and all other session
// requests are refused (RFC 4254 sections 6.2 to 6.9).
package subsystem

import (
	"context"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// UnusedTimeout is how long a channel may be open without a subsystem. Clients request it
// at once.
const UnusedTimeout = time.Minute

// unavailable is sent to a client if Prepare fails. Programs show standard error; the reply itself carries no text.
const unavailable = "The server cannot open your directories now. Its log contains the reason.\r\n"

// Options of a channel. All are needed.
type Options struct {
	// Prepare returns a function that serves SFTP on the channel and returns an exit status, or false if that cannot be
	// started.
	Prepare func() (serve func() (status uint32), ok bool)
	// Unused is how long the channel may be open without a subsystem.
	Unused time.Duration
	// Refused is called for a program that was refused, and for a channel without a subsystem.
	Refused func(event.Reason)
	// Panicked is called with what Prepare's function panicked with, nil if it did not.
	Panicked func(v any)
}

// Serve answers a channel's requests until it is closed, and closes it. It returns when the subsystem has ended as
// well.
func Serve(ctx context.Context, ch ssh.Channel, requests <-chan *ssh.Request, o Options) {
	defer ch.Close()
	unused := time.AfterFunc(o.Unused, func() {
		o.Refused(event.UnusedChannel)
		_ = ch.Close() // a broken connection has closed it
	})
	defer unused.Stop()
	var done chan struct{} // of the subsystem, nil before there is one
	for r := range requests {
		var serve func() uint32
		ok := false
		if done == nil && r.Type == "subsystem" && isSFTP(r.Payload) {
			if serve, ok = o.Prepare(); !ok && ctx.Err() == nil {
				_, _ = ch.Stderr().Write([]byte(unavailable)) // a broken connection ends the loop
			}
		}
		if !ok && startsProgram(r.Type) {
			o.Refused(event.RequestRefused)
		}
		_ = r.Reply(ok, nil) // sends no reply if none is wanted; a broken connection ends the loop
		if ok {
			unused.Stop()
			done = make(chan struct{})
			go func() {
				defer close(done)
				defer func() { o.Panicked(recover()) }()
				defer ch.Close()
				sendExitStatus(ch, serve())
			}()
		}
	}
	if done != nil {
		<-done
	}
}

// startsProgram reports whether a request starts a program. Others, such as the environment
// that OpenSSH's client sends with each session, are refused without a log line.
func startsProgram(request string) bool {
	return request == "subsystem" || request == "shell" || request == "exec"
}

// isSFTP reports whether the payload of a subsystem request is exactly the string "sftp"
// (RFC 4254 section 6.5).
func isSFTP(payload []byte) bool {
	name, ok := parse(payload)
	return ok && name == "sftp"
}

// parse parses the payload of a subsystem request: one string, a length of four bytes and
// that many bytes.
func parse(payload []byte) (name string, ok bool) {
	const prefix = 4
	if len(payload) < prefix {
		return "", false
	}
	size := binary.BigEndian.Uint32(payload)
	if uint64(size) != uint64(len(payload)-prefix) {
		return "", false
	}
	return string(payload[prefix:]), true
}

// sendExitStatus tells the client how the subsystem ended (RFC 4254 section 6.10).
func sendExitStatus(ch ssh.Channel, status uint32) {
	payload := binary.BigEndian.AppendUint32(nil, status)
	_, _ = ch.SendRequest("exit-status", false, payload) // a client that is gone needs no status
}
