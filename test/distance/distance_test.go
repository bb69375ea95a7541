// Package distance tests uploads over round trips of 20 to 200 ms, with third-party clients, and compares them with OpenSSH's
// server.
package distance

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/test/distance/delayline"
)

// smallWindow is the window of x/crypto and of OpenSSH.
const smallWindow = 2 << 20

// roundTrips are typical of a region, a continent, an ocean, and two oceans.
var roundTrips = []time.Duration{20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}

// target is a server at the other end of the line.
type target struct {
	line *delayline.Line
	addr string // host and port
	key  ssh.Signer
	file string // with the key
}

func (s *target) port() string { _, port, _ := net.SplitHostPort(s.addr); return port }

// client uploads files of a size.
type client struct {
	name  string
	bytes int64
	// slow means that the client is slower than a small window, with any server.
	slow bool
	// needs are the programs that the client requires. Nil means that it is part of this program.
	needs []string
	put   func(t *testing.T, s *target, file, name string)
}

var clients = []client{
	{name: "OpenSSH", bytes: 96 << 20, put: putOpenSSH, needs: []string{"sh", "-c", "command -v sftp"}},
	{name: "pkg-sftp", bytes: 96 << 20, put: putPkgSFTP},
	{name: "paramiko", bytes: 16 << 20, put: putParamiko, slow: true, needs: []string{python, "-c", "import paramiko"}},
}

// python is Debian's interpreter, for which Debian's paramiko is built.
const python = "/usr/bin/python3"

// installed reports whether the client is available. In CI, a missing one fails the test.
func (c client) installed(t *testing.T) bool {
	t.Helper()
	if c.needs == nil {
		return true
	}
	out, err := exec.CommandContext(t.Context(), c.needs[0], c.needs[1:]...).CombinedOutput()
	if err == nil {
		return true
	}
	if os.Getenv("CI") == "true" {
		t.Errorf("%s is missing, and CI=true: %v: %s", c.name, err, out)
	} else {
		t.Logf("%s is missing, and therefore not tested: %v: %s", c.name, err, out)
	}
	return false
}

func putOpenSSH(t *testing.T, s *target, file, name string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sftp", "-q", "-b", "-", "-P", s.port(), "-i", s.file,
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "Ciphers=aes128-gcm@openssh.com", "ada@"+s.line.Server.Addr)
	cmd.Stdin = bytes.NewReader([]byte("put " + file + " " + name + "\n"))
	if out, err := s.line.Client.Run(cmd); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// paramikoPut does not wait for the replies to its WRITEs.
const paramikoPut = `
import paramiko, sys
host, port, key, file, name = sys.argv[1:]
t = paramiko.Transport((host, int(port)))
t.connect(username="ada", pkey=paramiko.Ed25519Key(filename=key))
s = paramiko.SFTPClient.from_transport(t)
s.put(file, name)
s.close()
t.close()
`

func putParamiko(t *testing.T, s *target, file, name string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "-c", paramikoPut, s.line.Server.Addr, s.port(), s.file, file, name)
	if out, err := s.line.Client.Run(cmd); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func putPkgSFTP(t *testing.T, s *target, file, name string) {
	t.Helper()
	var conn net.Conn
	var err error
	s.line.Client.Do(func() { conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", s.addr) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cc, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(s.key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the host key is not under test
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sftp.NewClient(ssh.NewClient(cc, channels, requests), sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(1024))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := c.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.ReadFrom(from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

// random creates a random file.
func random(t *testing.T, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "random")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		t.Fatal(err)
	}
	return name
}

func digest(t *testing.T, name string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// newTarget returns a target without a server, and the user's key.
func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{line: delayline.New(t), file: filepath.Join(t.TempDir(), "key")}
	var pem []byte
	s.key, pem = configtest.Key(t)
	if err := os.WriteFile(s.file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// ours starts the daemon at one end of a line.
func ours(t *testing.T) (s *target, home string, d *daemontest.Daemon) {
	t.Helper()
	s = newTarget(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", s.key.PublicKey())
	home = dir.Home("ada")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	d = daemontest.StartOn(t, dir, s.line.Server.Listen(t))
	s.addr = d.Addr
	return s, home, d
}

// tries is how often an upload may be measured. The line is in user space: on a busy machine it delivers late, and then TCP
// treats packets as lost and sends less for seconds. If windows do not grow, every try is slow.
const tries = 3

// TestUploads: what arrives is what was sent, and over 200 ms it arrives faster than windows of 2 MiB allow, which carry at
// most one window per round trip.
func TestUploads(t *testing.T) {
	s, home, d := ours(t)
	uploads := 0
	for _, c := range clients {
		if !c.installed(t) {
			continue
		}
		file := random(t, c.bytes)
		want := digest(t, file)
		// upload returns how long an upload took, without the login.
		upload := func(t *testing.T) time.Duration {
			c.put(t, s, file, "file")
			uploads++
			ms, ok := d.WaitAudit(t, "transfer", uploads)["duration_ms"].(float64)
			if !ok {
				t.Fatal("no duration in the audit log")
			}
			if digest(t, filepath.Join(home, "file")) != want {
				t.Error("what arrived is not what was sent")
			}
			return time.Duration(ms) * time.Millisecond
		}
		var nearby time.Duration // the machine's own time, where distance hardly matters
		for _, rtt := range roundTrips {
			t.Run(fmt.Sprintf("%s/%s", c.name, rtt), func(t *testing.T) {
				s.line.SetRoundTrip(rtt)
				small := rtt * time.Duration(c.bytes/smallWindow)
				for try := 1; ; try++ {
					took := upload(t)
					t.Logf("DISTANCE sftpd, %s, %s: %.2f s, %.1f MiB/s; a window of 2 MiB takes %.2f s",
						c.name, rtt, took.Seconds(), float64(c.bytes)/took.Seconds()/(1<<20), small.Seconds())
					if rtt == roundTrips[0] {
						nearby = took
					}
					if rtt < 200*time.Millisecond || took <= small*3/4+nearby || c.slow {
						return
					}
					if try == tries {
						t.Fatalf("%s, and %s over %s; a window of 2 MiB takes %s", took, nearby, roundTrips[0], small)
					}
				}
			})
		}
	}
}
