package server_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// slowConn sends data byte by byte.
type slowConn struct{ net.Conn }

func (c slowConn) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// shyConn sends its version line, and then waits for the server's version and algorithms, as the protocol allows.
type shyConn struct {
	net.Conn
	writes  int
	version bool          // the server's version line has been read
	next    chan struct{} // closed when something after it has
}

func newShyConn(c net.Conn) net.Conn { return &shyConn{Conn: c, next: make(chan struct{})} }

// Write is called for the version line, and then for SSH_MSG_KEXINIT.
func (c *shyConn) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		select {
		case <-c.next:
		case <-time.After(20 * time.Second):
			return 0, os.ErrDeadlineExceeded
		}
	}
	return c.Conn.Write(p)
}

// Read is called for single bytes until the version line ends.
func (c *shyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case n > 0 && c.version:
		select {
		case <-c.next:
		default:
			close(c.next)
		}
	case n > 0 && p[n-1] == '\n':
		c.version = true
	}
	return n, err
}

// TestSteering: a client that supports AES-GCM gets it, whatever it prefers; one that does not gets the first of its list that
// the policy allows.
func TestSteering(t *testing.T) {
	t.Parallel()
	const never = time.Minute // a machine may be that slow
	steering(t, never, []steered{
		{"as OpenSSH", []string{chacha, ssh.CipherAES128CTR, ssh.CipherAES128GCM, ssh.CipherAES256GCM}, nil, ssh.CipherAES128GCM},
		{"AES-256 alone", []string{chacha, ssh.CipherAES256GCM}, nil, ssh.CipherAES256GCM},
		{"AES-256 rather", []string{ssh.CipherAES256GCM, ssh.CipherAES128GCM}, nil, ssh.CipherAES256GCM},
		{"no AES", []string{chacha}, nil, chacha},
		{"no AES-GCM", []string{ssh.CipherAES256CTR, chacha}, nil, ssh.CipherAES256CTR},
		{"byte by byte", []string{chacha, ssh.CipherAES128GCM}, func(c net.Conn) net.Conn { return slowConn{c} }, ssh.CipherAES128GCM},
	})
}

// TestNotSteered: a client that waits for the server's algorithms is offered all of them.
func TestNotSteered(t *testing.T) {
	t.Parallel()
	steering(t, 50*time.Millisecond, []steered{
		{"waits for the server", []string{chacha, ssh.CipherAES128GCM}, newShyConn, chacha},
	})
}

const chacha = ssh.CipherChaCha20Poly1305

type steered struct {
	name    string
	ciphers []string
	wrap    func(net.Conn) net.Conn
	want    string
}

func steering(t *testing.T, timeout time.Duration, cases []steered) {
	t.Helper()
	d, _ := start(t, nil, server.AlgorithmsTimeout(timeout))
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := daemontest.Connect(t, d.Addr)
			if tc.wrap != nil {
				c = tc.wrap(c)
			}
			sc, channels, requests, err := ssh.NewClientConn(c, d.Addr, &ssh.ClientConfig{
				Config: ssh.Config{Ciphers: tc.ciphers}, User: "ada", Auth: []ssh.AuthMethod{ssh.Password("secret")},
				HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a server within this test
			})
			if err != nil {
				t.Fatal(err)
			}
			client := ssh.NewClient(sc, channels, requests)
			defer client.Close()
			daemontest.StillWorks(t, client)
			have := sc.(ssh.AlgorithmsConnMetadata).Algorithms()
			if have.Read.Cipher != tc.want || have.Write.Cipher != tc.want {
				t.Errorf("%s and %s, want %s", have.Read.Cipher, have.Write.Cipher, tc.want)
			}
		})
	}
}

// TestSilentAfterVersion: a client that waits gets the daemon's algorithms a moment later, and this does not extend the login
// deadline.
func TestSilentAfterVersion(t *testing.T) {
	t.Parallel()
	d, _ := start(t, nil)
	c := daemontest.Connect(t, d.Addr)
	if _, err := io.WriteString(c, "SSH-2.0-test\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil || line != "SSH-2.0-sftpd\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	packet := make([]byte, 400)
	if _, err := io.ReadFull(r, packet); err != nil || packet[5] != 20 || !strings.Contains(string(packet), "curve25519-sha256") {
		t.Errorf("%q, %v", packet, err)
	}
}
