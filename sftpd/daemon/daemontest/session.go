package daemontest

import (
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// StartSFTP starts SFTP on a connection.
func StartSFTP(t testing.TB, c *ssh.Client) *sftp.Client {
	t.Helper()
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatalf("start SFTP: %v", err)
	}
	return files
}

// StillWorks checks that a session still serves files.
func StillWorks(t testing.TB, c *ssh.Client) {
	t.Helper()
	if _, err := StartSFTP(t, c).ReadDir("/"); err != nil {
		t.Errorf("session was disturbed: %v", err)
	}
}

// OpenChannel opens a session channel on which nothing is started. The server's requests get no answer.
func OpenChannel(t testing.TB, c *ssh.Client) ssh.Channel {
	t.Helper()
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	return ch
}

// Packet returns an SFTP packet (filexfer-02 section 3).
func Packet(kind byte, fields ...[]byte) []byte {
	body := []byte{kind}
	for _, f := range fields {
		body = append(body, f...)
	}
	return append(Uint32(uint32(len(body))), body...)
}

// Uint32 returns a number as SSH and SFTP encode it.
func Uint32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Text returns a string as SSH and SFTP encode it.
func Text(s string) []byte { return AppendString(nil, s) }

// ReadPacket returns the next SFTP packet, without its length.
func ReadPacket(t testing.TB, r io.Reader) []byte {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		t.Fatal(err)
	}
	return body
}

// Metric returns the value of a metric, 0 for one that has none yet.
func (d *Daemon) Metric(t testing.TB, name string) float64 {
	t.Helper()
	_, all := d.Get(t, "/metrics")
	for line := range strings.Lines(all) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	return 0
}

// HasMetric reports whether a line is among the metrics.
func (d *Daemon) HasMetric(t testing.TB, line string) bool {
	t.Helper()
	_, body := d.Get(t, "/metrics")
	return strings.Contains("\n"+body, "\n"+line+"\n")
}
