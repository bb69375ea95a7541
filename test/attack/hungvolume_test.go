package attack

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// withoutFUSE skips the test, but fails it in CI, where FUSE must be available.
func withoutFUSE(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("a FUSE volume cannot be mounted: ", err)
	}
	t.Skip("a FUSE volume cannot be mounted: ", err)
}

// hang mounts a FUSE file system that never answers over a directory, like a network volume whose server is unavailable.
func hang(t *testing.T, dir string) {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		withoutFUSE(t, err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())
	if err := unix.Mount("hung", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		fuse.Close()
		withoutFUSE(t, err)
	}
	t.Cleanup(func() {
		fuse.Close() // all waiting callers get an error
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// TestHungVolume: while a volume never answers, sessions on others end when they expire, users are removed as fast as ever, and
// SIGTERM ends the process on time.
func TestHungVolume(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	volume := t.TempDir()
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "hung", Path: volume})
	dir.AddUser("eve", "secret").Mounts[0].Volume = "hung"
	d := start(t, dir)
	sessions := map[string]*busyWriter{}
	for _, user := range []string{"a", "b", "c", "d", "exp"} {
		sessions[user] = newWriter(t, d, user)
	}
	exp := expire(t, d, dir, "exp")
	hang(t, volume)
	eve := d.MustDial(t, "eve", ssh.Password("secret"))
	go func() { _, _ = sftp.NewClient(eve) }() // it ends with the connection
	time.Sleep(500 * time.Millisecond)         // by now the volume has a request

	revokedMeanwhile(t, d, dir, sessions)
	sessions["exp"].endsBy(t, "exp", exp.Add(soon))
	t.Logf("ENDS hung volume: exp ended %s after its time", sessions["exp"].at.Sub(exp).Round(time.Millisecond))
	dir.Remove("eve")
	removed := time.Now()
	dir.Write(t)
	_ = eve.Wait()
	if took := time.Since(removed); took > soon {
		t.Errorf("eve was removed, but continued for %s", took)
	}
	d.Eventually(t, "eve's logout is in the log", func() bool { return has(t, d, "logout", "eve") })
	terminated := time.Now()
	d.Terminate()
	_ = d.Wait(t, 2*time.Second+8*daemontest.Second()) // interrupted transfers are not a failure here
	t.Logf("ENDS hung volume: SIGTERM with a drain timeout of 2s took %s", time.Since(terminated).Round(time.Millisecond))
}
