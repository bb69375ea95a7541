package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// keyPair is a client's key.
type keyPair struct {
	signer ssh.Signer
	// line is the public key as in authorized_keys.
	line string
	// file is the private key's file, for OpenSSH.
	file string
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "e2e")
	must(t, err)
	file := filepath.Join(t.TempDir(), "id_ed25519")
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return keyPair{signer: signer, line: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), file: file}
}

// keyAuth lets keys log in.
func keyAuth(keys ...keyPair) v1alpha1.UserAuthentication {
	var a v1alpha1.UserAuthentication
	for _, k := range keys {
		a.AuthorizedKeys = append(a.AuthorizedKeys, k.line)
	}
	return a
}

// knownHosts writes the listener's lines of its status to a file.
func knownHosts(t *testing.T, l *v1alpha1.SFTPListener) string {
	t.Helper()
	if len(l.Status.KnownHosts) == 0 {
		t.Fatal("the listener's status has no knownHosts")
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	must(t, os.WriteFile(file, []byte(strings.Join(l.Status.KnownHosts, "\n")+"\n"), 0o600))
	return file
}

// openSSH runs a batch with OpenSSH's sftp, checking the host key strictly against the listener's status. A password is passed
// through SSH_ASKPASS, as scripts do.
func openSSH(t *testing.T, l *v1alpha1.SFTPListener, user string, k *keyPair, password, batch string) (string, error) {
	t.Helper()
	args := []string{
		"-q", "-P", port(l), "-o", "UserKnownHostsFile=" + knownHosts(t, l), "-o", "StrictHostKeyChecking=yes",
		"-o", "ConnectTimeout=10", "-o", "IdentitiesOnly=yes", "-o", "NumberOfPasswordPrompts=1", "-F", "none",
	}
	if k != nil {
		args = append(args, "-i", k.file)
	} else {
		args = append(args, "-o", "PubkeyAuthentication=no")
	}
	batchFile := filepath.Join(t.TempDir(), "batch")
	must(t, os.WriteFile(batchFile, []byte(batch), 0o600))
	// -b disables prompts; a later option on the command line takes precedence.
	args = append(args, "-o", "BatchMode=no", "-b", batchFile, user+"@127.0.0.1")
	cmd := exec.CommandContext(t.Context(), "sftp", args...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
	if password != "" {
		ask := filepath.Join(t.TempDir(), "askpass")
		must(t, os.WriteFile(ask, []byte("#!/bin/sh\nprintf '%s\\n' \"$E2E_PASSWORD\"\n"), 0o700))
		cmd.Env = append(cmd.Env, "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "E2E_PASSWORD="+password)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// session is a live SFTP session.
type session struct {
	*sftp.Client
	conn *ssh.Client
	// closed receives the time at which the connection ended.
	closed chan time.Time
}

// login logs in and opens a session.
func login(t *testing.T, l *v1alpha1.SFTPListener, user string, auth ...ssh.AuthMethod) (*session, error) {
	t.Helper()
	return loginAfter(t, l, "", user, auth...)
}

// loginAfter logs in after sending a header, as proxies do.
func loginAfter(t *testing.T, l *v1alpha1.SFTPListener, header, user string, auth ...ssh.AuthMethod) (*session, error) {
	t.Helper()
	return loginAt(t, l, net.JoinHostPort("127.0.0.1", port(l)), header, user, auth...)
}

// loginAt logs in at an address: the Service's, or a pod's.
func loginAt(t *testing.T, l *v1alpha1.SFTPListener, address, header, user string, auth ...ssh.AuthMethod) (*session, error) {
	t.Helper()
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(l.Status.HostKeys[0].PublicKey))
	must(t, err)
	raw, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second)) // TCP connections have deadlines
	if _, err := io.WriteString(raw, header); err != nil {
		return nil, err
	}
	sc, channels, requests, err := ssh.NewClientConn(raw, address, &ssh.ClientConfig{
		User: user, Auth: auth, HostKeyCallback: ssh.FixedHostKey(pub),
	})
	if err != nil {
		_ = raw.Close() // err says more
		return nil, err
	}
	_ = raw.SetDeadline(time.Time{})
	conn := ssh.NewClient(sc, channels, requests)
	c, err := sftp.NewClient(conn)
	if err != nil {
		return nil, err
	}
	s := &session{Client: c, conn: conn, closed: make(chan time.Time, 1)}
	go func() {
		_ = conn.Wait() // how it ended does not matter here
		s.closed <- time.Now()
	}()
	t.Cleanup(func() { _ = conn.Close() })
	return s, nil
}

// mustLogin logs in through the Service. The node's proxy starts forwarding to a new pod up to a second after the operator has
// seen that it is ready, and refuses connections until then if there is no other pod.
func mustLogin(t *testing.T, l *v1alpha1.SFTPListener, user string, auth ...ssh.AuthMethod) *session {
	t.Helper()
	const patience = 10 * time.Second
	for began := time.Now(); ; {
		s, err := login(t, l, user, auth...)
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) > patience {
			must(t, err)
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// alive reports whether a session still answers.
func (s *session) alive() bool {
	_, err := s.Getwd()
	return err == nil
}

// closedAfter waits for the end of a session and returns how long after start it ended.
func (s *session) closedAfter(t *testing.T, start time.Time) time.Duration {
	t.Helper()
	select {
	case at := <-s.closed:
		return at.Sub(start)
	case <-time.After(30 * time.Second):
		t.Fatal("the session was not closed within 30 s")
		return 0
	}
}

// roundTrip uploads and downloads a file and compares the two.
func (s *session) roundTrip(t *testing.T, path string, size int) {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	f, err := s.Create(path)
	must(t, err)
	_, err = io.Copy(f, bytes.NewReader(data))
	must(t, err)
	must(t, f.Close())
	g, err := s.Open(path)
	must(t, err)
	got, err := io.ReadAll(g)
	must(t, err)
	must(t, g.Close())
	if !bytes.Equal(got, data) {
		t.Fatalf("%s: got %d bytes that differ from the %d put", path, len(got), len(data))
	}
}

// sha256 downloads a file and returns the digest of its content.
func (s *session) sha256(t *testing.T, path string) string {
	t.Helper()
	f, err := s.Open(path)
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

func sha256File(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return hex.EncodeToString(h.Sum(nil))
}

// randomFile creates a file of n MiB.
func randomFile(t *testing.T, mib int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), fmt.Sprintf("random-%d", mib))
	f, err := os.Create(path)
	must(t, err)
	_, err = io.CopyN(f, rand.Reader, mib<<20)
	must(t, err)
	must(t, f.Close())
	return path
}
