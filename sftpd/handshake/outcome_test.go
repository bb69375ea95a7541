package handshake

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// endless writes data until the server gives up.
func endless(c net.Conn, first string, part []byte) {
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = c.Write(part)
	}
}

// logsIn runs an SSH client.
func logsIn(config *ssh.ClientConfig) func(net.Conn) {
	config.HostKeyCallback = ssh.InsecureIgnoreHostKey()
	return func(c net.Conn) {
		if sc, _, _, err := ssh.NewClientConn(c, "", config); err == nil {
			sc.Close()
		}
	}
}

// TestOutcomes: the ways in which a client fails are distinguished, with the state that it had reached.
func TestOutcomes(t *testing.T) {
	const version = "SSH-2.0-test\r\n"
	for name, tc := range map[string]struct {
		client  func(net.Conn)
		outcome Outcome
	}{
		"says nothing and leaves": {func(net.Conn) {}, Silent},
		"says nothing and stays":  {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, TimedOut},
		"leaves after its version": {func(c net.Conn) {
			_, _ = io.WriteString(c, version)
		}, Left},
		"stays after its version": {func(c net.Conn) {
			_, _ = io.WriteString(c, version)
			_, _ = io.Copy(io.Discard, c)
		}, TimedOut},
		"speaks HTTP": {func(c net.Conn) { endless(c, "GET / HTTP/1.0\r\n", []byte("Accept: all\r\n")) }, ProtocolError},
		"sends without end": {func(c net.Conn) {
			// SSH_MSG_IGNORE with the largest payload that fits a packet
			packet := append([]byte{0, 0, 0x7f, 0xfc, 4, 2, 0, 0, 0x7f, 0xf2}, make([]byte, 0x7ff6)...)
			endless(c, version, packet)
		}, TooMuch},
		"has no common cipher": {logsIn(&ssh.ClientConfig{User: "ada", Config: ssh.Config{Ciphers: []string{"aes128-ctr"}}}), NoCommonAlgorithm},
		"has no credential":    {logsIn(&ssh.ClientConfig{User: "ada"}), NotLoggedIn},
		"has a wrong password": {logsIn(&ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.Password("wrong")}}), NotLoggedIn},
		"has too many wrong passwords": {logsIn(&ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{
			ssh.RetryableAuthMethod(ssh.Password("wrong"), 10),
		}}), NoTriesLeft},
		"logs in (no failure)": {logsIn(&ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.Password("right")}}), -1},
		"leaves during the key exchange": {func(c net.Conn) {
			_, _ = c.Write(saidFirst(version, []string{ssh.CipherAES256GCM}, []string{ssh.CipherAES256GCM}))
		}, Left},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if tc.outcome == TimedOut {
				limit = time.Second
			}
			f, h := serve(t, tc.client, limit)
			if f == nil {
				if tc.outcome != -1 || !h.is(loggedIn) {
					t.Fatalf("no failure, state %d", h.state.Load())
				}
				return
			}
			if f.Outcome != tc.outcome || !h.is(over) {
				t.Errorf("outcome %d in state %d: %v; want %d", f.Outcome, h.state.Load(), f.Err, tc.outcome)
			}
			if negotiation := (*ssh.AlgorithmNegotiationError)(nil); errors.As(f.Err, &negotiation) != (tc.outcome == NoCommonAlgorithm) {
				t.Errorf("error %v", f.Err)
			}
			if h.Context().Err() == nil {
				t.Error("the login is not over")
			}
		})
	}
}

// loopback returns both ends of a connection.
func loopback(t *testing.T) (accepted, dialed net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dialer net.Dialer
	if dialed, err = dialer.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return accepted, dialed
}

// serve connects a client to a server over loopback, and closes the client's side when it has finished.
func serve(t *testing.T, client func(net.Conn), limit time.Duration) (*Failure, *Handshake) {
	t.Helper()
	accepted, dialed := loopback(t)
	go func() {
		client(dialed)
		_ = dialed.Close()
	}()
	limits := StandardLimits()
	limits.AlgorithmsTimeout = 100 * time.Millisecond
	h := New(t.Context(), accepted, Identification(""), time.Now().Add(limit), limits)
	h.Hello()
	key, _ := configtest.Key(t)
	multi, ok := key.(ssh.MultiAlgorithmSigner)
	if !ok {
		t.Fatalf("%T", key)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if !bytes.Equal(password, []byte("right")) {
			return nil, errors.New("refused")
		}
		return &ssh.Permissions{}, nil
	}}
	config.Ciphers = []string{ssh.CipherAES256GCM}
	sc, failure := h.LogIn(config, Config{HostKeys: []ssh.MultiAlgorithmSigner{multi}})
	if failure == nil {
		sc.Close()
	}
	return failure, h
}

// TestStatesOnlyGrow: a late signature or callback does not return a connection to an earlier state.
func TestStatesOnlyGrow(t *testing.T) {
	h := &Handshake{}
	for _, step := range []struct{ reach, want state }{
		{exchanging, exchanging},
		{signed, signed},
		{exchanging, signed},
		{authenticating, authenticating},
		{signed, authenticating},
		{loggedIn, loggedIn},
		{signed, loggedIn},
		{over, over},
		{loggedIn, over},
	} {
		if h.reach(step.reach); !h.is(step.want) {
			t.Errorf("state %d after %d, want %d", h.state.Load(), step.reach, step.want)
		}
	}
}
