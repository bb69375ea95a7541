package server

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostproof"
)

// maxChannels is how many channels a connection may have open, as in OpenSSH's
// MaxSessions. Each can make the daemon hold a window of 2 MiB, and several times that
// if it comes in small packets.
const maxChannels = 10

// unusedTimeout is how long a channel may be open without a subsystem. Clients request it
// at once.
const unusedTimeout = time.Minute

// auditBlocked reports whether the audit log has not taken a line for some seconds. What a session does is logged when it is
// done, so that without a pause one could go on reading and writing, and none of it would ever be logged if the process were
// killed.
func (s *Server) auditBlocked() bool { return s.Blocked != nil && s.Blocked() > 0 }

// serveChannels accepts the channels of a session until its connection ends. Global requests
// are refused, but for those of proofs: they have to be taken, or the connection stalls, and
// a keepalive is content with any answer.
func (c *conn) serveChannels(ctx context.Context, sc handshake.Connection) {
	p := hostproof.New(sc.Conn, c.server.hostKeys, c.server.handshake.Slots)
	requests := sc.Requests
	p.Announce()
	for {
		select {
		case nc, ok := <-sc.Channels:
			if !ok {
				return
			}
			c.newChannel(ctx, nc)
		case r, ok := <-requests:
			switch {
			case !ok:
				requests = nil // channels end, too
			case r.WantReply && r.Type == hostproof.Request:
				c.proveHostKeys(ctx, p, r)
			case r.WantReply:
				_ = r.Reply(false, nil)
			}
		}
	}
}

// proveHostKeys answers a request for proofs of host keys.
func (c *conn) proveHostKeys(ctx context.Context, p *hostproof.Proofs, r *ssh.Request) {
	answer, proved, err := p.Answer(ctx, r.Payload)
	if err != nil && !errors.Is(err, hostproof.ErrRefused) {
		c.server.Log.Error("host keys are not proved", "connection", c.id, "error", err)
	}
	for _, fingerprint := range proved {
		c.server.KeyUse.NoteProof(c.settings.grant.UID, fingerprint)
	}
	c.server.emit(event.HostKeyProof{Answered: err == nil})
	_ = r.Reply(err == nil, answer) // a broken connection ends the loop
}

func (c *conn) newChannel(ctx context.Context, nc ssh.NewChannel) {
	if reason, text := c.openChannel(nc.ChannelType()); text != "" {
		c.server.emit(event.Refused{Reason: event.ChannelRefused})
		_ = nc.Reject(reason, text) // a broken connection ends the loop
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		c.channelClosed()
		return
	}
	c.working.Add(1)
	go c.serveChannel(ctx, ch, requests)
}

// openChannel takes a place for a channel, or says why there is none.
func (c *conn) openChannel(kind string) (ssh.RejectionReason, string) {
	if kind != "session" {
		return ssh.UnknownChannelType, "only session channels are served"
	}
	if c.server.admission.Closed() {
		return ssh.ResourceShortage, "the server is shutting down"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.channels >= maxChannels {
		return ssh.ResourceShortage, "too many channels"
	}
	c.channels++
	c.lastUsed = time.Now()
	return 0, ""
}

func (c *conn) channelClosed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels--
	c.lastUsed = time.Now()
}

// serveChannel answers a channel's requests. One subsystem "sftp" is started, and
// everything else refused (RFC 4254 sections 6.2 to 6.9).
func (c *conn) serveChannel(ctx context.Context, ch ssh.Channel, requests <-chan *ssh.Request) {
	defer c.working.Done()
	defer c.channelClosed()
	defer func() { c.panicked(recover()) }()
	defer ch.Close()
	st := c.raw.Open(ctx, ch, c.server.auditBlocked)
	defer st.Settle()
	go func() {
		defer func() { c.panicked(recover()) }()
		st.Discard()
	}()
	unused := time.AfterFunc(c.server.unusedTimeout, func() {
		c.server.emit(event.Refused{Reason: event.UnusedChannel})
		_ = ch.Close() // a broken connection has closed it
	})
	defer unused.Stop()
	done := make(chan struct{})
	started := false
	for r := range requests {
		serve := func() {}
		ok := false
		if !started && r.Type == "subsystem" && isSFTP(r.Payload) {
			serve, ok = c.prepareFiles(ctx, st)
		}
		if !ok && !started && r.Type == "subsystem" && isSFTP(r.Payload) && ctx.Err() == nil {
			// Programs show what comes on this stream; the answer itself has no text.
			_, _ = ch.Stderr().Write([]byte("The server cannot open your directories now. Its administrator finds the reason in its log.\r\n")) // a broken connection ends the loop
		}
		if !ok && startsProgram(r.Type) {
			c.server.emit(event.Refused{Reason: event.RequestRefused})
		}
		if r.WantReply {
			_ = r.Reply(ok, nil) // a broken connection ends the loop
		}
		if ok {
			started = true
			unused.Stop()
			go func() {
				defer close(done)
				defer func() { c.panicked(recover()) }()
				serve()
			}()
		}
	}
	if started {
		<-done
	}
}

// startsProgram says whether a request is for a program. Others, such as the environment
// that OpenSSH's client sends with each session, are refused as a matter of course.
func startsProgram(request string) bool {
	return request == "subsystem" || request == "shell" || request == "exec"
}

// isSFTP says whether the payload of a subsystem request is the string "sftp" and no
// more (RFC 4254 section 6.5).
func isSFTP(payload []byte) bool {
	name, ok := subsystem(payload)
	return ok && name == "sftp"
}

// subsystem parses the payload of a subsystem request: one string, as a length of four
// bytes and as many bytes.
func subsystem(payload []byte) (name string, ok bool) {
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
	_, _ = ch.SendRequest("exit-status", false, payload) // a client that is gone needs none
}
