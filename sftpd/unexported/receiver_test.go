package unexported

import (
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// served is an x/crypto channel as a server has it.
func served(t *testing.T) ssh.Channel {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted := make(chan ssh.Channel, 1)
	key, _ := configtest.Key(t)
	go func() {
		defer close(accepted)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(key)
		_, channels, requests, err := ssh.NewServerConn(raw, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		ch, requests, err := (<-channels).Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		accepted <- ch
	}()
	c, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	ch := <-accepted
	if ch == nil {
		t.Fatal("no channel")
	}
	return ch
}

// TestReceiver: x/crypto has the structure that this package expects. If it does not, windows keep their size, which only this
// test and TestWindowGrows would notice.
func TestReceiver(t *testing.T) {
	ch := served(t)
	r := ReceiverOf(ch)
	if r == nil {
		t.Fatal("the receiving side of a channel is not found: golang.org/x/crypto/ssh has changed")
	}
	if *r.window != ChannelWindow || *r.consumed != 0 {
		t.Errorf("window of %d bytes, %d consumed", *r.window, *r.consumed)
	}
	for name, other := range map[string]ssh.Channel{
		"nothing": nil, "no pointer": notXCrypto{}, "other fields": &notXCrypto{}, "other types": &otherTypes{},
	} {
		if ReceiverOf(other) != nil {
			t.Errorf("%s: a receiving side was found", name)
		}
	}
	*r.window = ChannelWindow + 1
	if ReceiverOf(ch) != nil {
		t.Error("a window larger than the constant was taken")
	}
	*r.window = ChannelWindow
}

type notXCrypto struct{ ssh.Channel }

type otherTypes struct {
	ssh.Channel
	pending    *int
	windowMu   int
	myWindow   uint64
	myConsumed []byte
}

var _ = otherTypes{pending: nil, windowMu: 0, myWindow: 0, myConsumed: nil}
