package server

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/hostproof"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

// scripted is the SSH connection of a client that does what a test says.
type scripted struct {
	ssh.Conn
	sent []string
}

func (*scripted) ClientVersion() []byte { return []byte("SSH-2.0-OpenSSH_10.0") }
func (*scripted) SessionID() []byte     { return []byte("session") }

func (s *scripted) SendRequest(name string, wantReply bool, _ []byte) (bool, []byte, error) {
	if wantReply {
		name += " with a reply"
	}
	s.sent = append(s.sent, name)
	return false, nil, nil
}

// offered is a channel that a client wants to open.
type offered struct {
	ssh.NewChannel
	kind     string
	rejected chan ssh.RejectionReason
}

func (o *offered) ChannelType() string { return o.kind }

func (o *offered) Reject(reason ssh.RejectionReason, _ string) error {
	o.rejected <- reason
	return nil
}

// TestRequestsWithoutReply: what a client requests without asking for a reply costs nothing: no key signs, and nothing is counted. If its
// requests end before its channels, the connection does not end. The server announces its host keys once, and waits for no answer.
func TestRequestsWithoutReply(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s, current, _, events := loaded(t, dir)
	s.KeyUse = keyuse.New()
	c := connect(t, s)
	if reason := s.sessions.join(c, grantOf(current, "ada"), c.lastUsed); reason != "" {
		t.Fatal(reason)
	}
	key, err := ssh.ParsePrivateKey(dir.HostKeys[0])
	if err != nil {
		t.Fatal(err)
	}
	client := &scripted{}
	channels, requests := make(chan ssh.NewChannel), make(chan *ssh.Request)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.serveChannels(t.Context(), handshake.Connection{ServerConn: &ssh.ServerConn{Conn: client}, Channels: channels, Requests: requests})
	}()
	requests <- &ssh.Request{Type: "keepalive@openssh.com"}
	requests <- &ssh.Request{Type: hostproof.Request, Payload: ssh.Marshal(struct{ Key []byte }{key.PublicKey().Marshal()})}
	close(requests)
	for range 3 {
		o := &offered{kind: "direct-tcpip", rejected: make(chan ssh.RejectionReason, 1)}
		channels <- o
		if reason := <-o.rejected; reason != ssh.UnknownChannelType {
			t.Errorf("a channel after the requests have ended: %v", reason)
		}
	}
	close(channels)
	<-ended
	refused := event.Event(event.Refused{Reason: event.ChannelRefused})
	if !slices.Equal(events.events, []event.Event{refused, refused, refused}) || len(s.KeyUse.Since("", 0, 100).HostKeyProofs) > 0 {
		t.Errorf("%+v, %+v", events.events, s.KeyUse.Since("", 0, 100).HostKeyProofs)
	}
	if !slices.Equal(client.sent, []string{"hostkeys-00@openssh.com"}) {
		t.Errorf("the server sends %q", client.sent)
	}
}

// TestRefusedProofs: a request for proofs that is refused is counted, and is not a line of the log: a client can send any number.
func TestRefusedProofs(t *testing.T) {
	s, _, log, events := loaded(t, configtest.New(t))
	c := connect(t, s)
	p := hostproof.New(&scripted{}, s.hostKeys, s.handshake.Slots)
	for _, payload := range [][]byte{nil, []byte("x"), ssh.Marshal(struct{ Key []byte }{[]byte("unknown")})} {
		c.proveHostKeys(t.Context(), p, &ssh.Request{Type: hostproof.Request, Payload: payload})
	}
	refused := event.Event(event.HostKeyProof{Answered: false})
	if !slices.Equal(events.events, []event.Event{refused, refused, refused}) || log.Len() > 0 {
		t.Errorf("%+v, logged %q", events.events, log)
	}
}

// TestSoonerOfTwoTimes: of two files, the one whose line is due first decides when to look again; one without a line decides nothing.
func TestSoonerOfTwoTimes(t *testing.T) {
	never, one := time.Time{}, time.Now()
	two := one.Add(time.Second)
	for _, c := range [][3]time.Time{{never, never, never}, {never, one, one}, {one, never, one}, {one, two, one}, {two, one, one}, {one, one, one}} {
		if got := sooner(c[0], c[1]); !got.Equal(c[2]) {
			t.Errorf("of %s and %s: %s", c[0], c[1], got)
		}
	}
}
