package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// kept is how many of a client's files stay; older ones are overwritten.
const kept = 40

func randomData() ([]byte, string) {
	data := make([]byte, mathrand.IntN(2<<20))
	_, _ = rand.Read(data) // never fails
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:])
}

// library runs a client with a long session, which ends only with its pod.
func (s *soak) library(ctx context.Context, worker int) {
	var conn *ssh.Client
	var session *sftp.Client
	began := time.Now()
	defer func() {
		if conn != nil {
			_ = conn.Close() // the time is up
		}
	}()
	for n := 0; ctx.Err() == nil; n++ {
		if session == nil {
			var err error
			began = time.Now()
			if conn, session, err = s.connect(); err != nil {
				s.failed(ctx, began, "library %d: login: %v", worker, err)
				idle(ctx, 500*time.Millisecond)
				continue
			}
		}
		// The session must last, so its whole duration counts, not only that of the file.
		start := time.Now()
		name := fmt.Sprintf("%d-%d", worker, n%kept)
		if err := s.putAndGet(session, name); err != nil {
			s.failed(ctx, start, "library %d, %s, in a session of %s: %v", worker, name, time.Since(began).Round(time.Second), err)
			_ = conn.Close() // err is what counts
			session = nil
			s.mu.Lock()
			s.endedWithPod++
			s.mu.Unlock()
		}
	}
}

// failed records a failure, unless a pod was terminating at that time or the test's time is up.
func (s *soak) failed(ctx context.Context, start time.Time, format string, args ...any) {
	switch {
	case ctx.Err() != nil:
	case s.disturbed(start):
		s.mu.Lock()
		s.again++
		s.mu.Unlock()
	default:
		s.problem(format, args...)
	}
}

func (s *soak) connect() (*ssh.Client, *sftp.Client, error) {
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.listener.Status.HostKeys[0].PublicKey))
	if err != nil {
		return nil, nil, err
	}
	conn, err := ssh.Dial("tcp", net.JoinHostPort("127.0.0.1", port(s.listener)), &ssh.ClientConfig{
		User: "library", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.key.signer)}, HostKeyCallback: ssh.FixedHostKey(pub), Timeout: 10 * time.Second,
	})
	if err != nil {
		return nil, nil, err
	}
	session, err := sftp.NewClient(conn)
	if err != nil {
		_ = conn.Close() // err says more
	}
	return conn, session, err
}

// putAndGet uploads a file under another name, renames it, and reads it back.
func (s *soak) putAndGet(session *sftp.Client, name string) error {
	data, sum := randomData()
	f, err := session.Create(name + ".part")
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.files, "library/"+name) // without an answer it may be either
	s.mu.Unlock()
	if err := session.PosixRename(name+".part", name); err != nil {
		return err
	}
	s.mu.Lock()
	s.files["library/"+name] = sum // from now on it is the new one
	s.mu.Unlock()
	got, err := readRemote(session, name)
	if err != nil {
		return err
	}
	if got != sum {
		s.problem("%s: read back %s, put %s", name, got, sum)
	}
	s.note("library", name, sum, len(data))
	return nil
}

func readRemote(session *sftp.Client, name string) (string, error) {
	f, err := session.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// programs has a program upload a file and download it, with a login for each, repeatedly.
func (s *soak) programs(ctx context.Context, client string, transfer func(ctx context.Context, local, name, back string) *exec.Cmd) {
	local, back := filepath.Join(s.dir, client+"-put"), filepath.Join(s.dir, client+"-got")
	for n := 0; ctx.Err() == nil; n++ {
		data, sum := randomData()
		if err := os.WriteFile(local, data, 0o600); err != nil {
			s.problem("%v", err)
			return
		}
		name := strconv.Itoa(n % kept)
		start := time.Now()
		s.mu.Lock()
		delete(s.files, client+"/"+name) // an interrupted upload leaves a partial file
		s.mu.Unlock()
		if out, err := transfer(ctx, local, name, back).CombinedOutput(); err != nil {
			s.failed(ctx, start, "%s: %v: %s", client, err, out)
			idle(ctx, 500*time.Millisecond)
			continue
		}
		got, err := os.ReadFile(back)
		if gotSum := sha256.Sum256(got); err != nil || hex.EncodeToString(gotSum[:]) != sum {
			s.problem("%s, %s: got %d bytes that differ from the %d put: %v", client, name, len(got), len(data), err)
		}
		s.note(client, name, sum, len(data))
	}
}

func (s *soak) openSSH(ctx context.Context, local, name, back string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sftp", "-q", "-F", "none", "-P", port(s.listener), "-i", s.key.file,
		"-o", "UserKnownHostsFile="+s.hosts, "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10",
		"-b", "-", "openssh@127.0.0.1")
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
	cmd.Stdin = bytes.NewBufferString(fmt.Sprintf("put %s %s\nget %s %s\n", local, name, name, back))
	return cmd
}

// curl returns a command of curl, which uses libssh2. Its two transfers are two logins.
func (s *soak) curl(ctx context.Context, local, name, back string) *exec.Cmd {
	url := fmt.Sprintf("sftp://127.0.0.1:%s/%s", port(s.listener), name)
	common := []string{"--silent", "--show-error", "--fail", "--insecure", "--user", "curl:", "--key", s.key.file, "--connect-timeout", "10"}
	args := append(append([]string{"--upload-file", local, url}, common...), "--next", url, "--output", back)
	return exec.CommandContext(ctx, "curl", append(args, common...)...)
}

// verifyAll reads all files that must exist.
func (s *soak) verifyAll(t *testing.T) {
	t.Helper()
	sessions := map[string]*session{}
	for id, sum := range s.files {
		client, name, _ := strings.Cut(id, "/")
		if sessions[client] == nil {
			sessions[client] = mustLogin(t, s.listener, client, ssh.PublicKeys(s.key.signer))
		}
		got, err := readRemote(sessions[client].Client, name)
		must(t, err)
		if got != sum {
			t.Errorf("%s has SHA-256 %s at the end, uploaded was %s", id, got, sum)
		}
	}
}
