package server

import (
	"context"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostproof"
	"github.com/sftp-operator/sftp-operator/sftpd/subsystem"
)

// maxChannels is how many channels a connection may have open, like OpenSSH's MaxSessions.
// Each can make the daemon hold a window of 2 MiB, and several times that for small
// packets.
const maxChannels = 10

// auditBlocked reports whether the audit log has not accepted a line for a few seconds. Operations are logged when they are done,
// so without a pause a session could keep reading and writing, and none of it would be logged if the process were killed.
func (s *Server) auditBlocked() bool { return s.Blocked != nil && s.Blocked() > 0 }

// serveChannels accepts the channels of a session until its connection ends. Global requests
// other than those for proofs are refused: they have to be received, or the connection
// stalls, and any reply satisfies a keepalive.
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
				requests = nil // channels also end
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
		c.server.Log.Error("host keys are not proved", "connection", c.about.ID, "error", err)
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

// openChannel takes a place for a channel, or returns why there is none.
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

// serveChannel serves SFTP on a channel, and nothing else.
func (c *conn) serveChannel(ctx context.Context, ch ssh.Channel, requests <-chan *ssh.Request) {
	defer c.working.Done()
	defer c.channelClosed()
	defer func() { c.Panicked(recover()) }()
	st := c.raw.Open(ctx, ch, c.server.auditBlocked)
	defer st.Settle()
	go func() {
		defer func() { c.Panicked(recover()) }()
		st.Discard()
	}()
	subsystem.Serve(ctx, ch, requests, subsystem.Options{
		Prepare:  func() (func() uint32, bool) { return c.prepareFiles(ctx, st) },
		Unused:   c.server.unusedTimeout,
		Refused:  func(r event.Reason) { c.server.emit(event.Refused{Reason: r}) },
		Panicked: c.Panicked,
	})
}
