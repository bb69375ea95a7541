package server_test

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// TestRekeyByTime: the daemon requests new keys after a certain time, in the middle of other traffic, and not before.
func TestRekeyByTime(t *testing.T) {
	for name, tc := range map[string]struct {
		after       time.Duration
		least, most int64
	}{
		"often": {300 * time.Millisecond, 3, 1000},
		"never": {0, 1, 1}, // the policy's hour
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := configtest.New(t)
			dir.AddUser("ada", "secret")
			d := daemontest.Start(t, dir, server.RekeyTime(tc.after))
			var exchanges atomic.Int64
			c, err := ssh.Dial("tcp", d.Addr, &ssh.ClientConfig{
				User: "ada", Auth: []ssh.AuthMethod{ssh.Password("secret")},
				HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { exchanges.Add(1); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			files := daemontest.StartSFTP(t, c)
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
			begin := time.Now()
			for exchanges.Load() < tc.least || time.Since(begin) < 1500*time.Millisecond {
				if time.Since(begin) > 30*time.Second {
					break
				}
				f, err := files.Create("/file")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Write(data); err != nil || f.Close() != nil {
					t.Fatal(err)
				}
				if f, err = files.Open("/file"); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes that differ, %v", len(got), err)
				}
				f.Close()
			}
			if n := exchanges.Load(); n < tc.least || n > tc.most {
				t.Errorf("%d key exchanges in %s", n, time.Since(begin))
			}
		})
	}
}
