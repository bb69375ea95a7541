package ack

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// What the operator asks is what a daemon answers: the token that the one makes of the Secret's content opens the other.
func TestKeyUseOfADaemon(t *testing.T) {
	const address = "127.0.0.11"
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	dir.Write(t)
	sftp, health := daemontest.Listen(t, address+":0"), daemontest.Listen(t, address+":8081")
	d := daemon.New(daemon.Options{ConfigDir: dir.Path, SFTP: sftp, Health: health, Audit: io.Discard, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	p := readyPod("a")
	p.Status.PodIP = address
	asker := NewHTTPAsker()
	eventually := func(what string, condition func() bool) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within 15 s: %s", what)
			}
		}
	}
	eventually("the configuration is loaded", func() bool {
		s, err := asker.Ask(t.Context(), &p)
		return err == nil && s.Digest != ""
	})
	c, err := ssh.Dial("tcp", sftp.Addr().String(), &ssh.ClientConfig{
		User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	token := config.StatusToken(dir.HostKeys)
	var first config.KeyUseReport
	eventually("the login is told", func() bool {
		first, err = asker.KeyUse(t.Context(), &p, token, config.KeyUseReport{})
		if err != nil {
			t.Fatal(err)
		}
		return len(first.Uses) == 1
	})
	if u := first.Uses[0]; u.UID != "uid-ada" || u.Fingerprint != ssh.FingerprintSHA256(key.PublicKey()) || len(u.Day) != len(time.DateOnly) {
		t.Errorf("%+v", u)
	}
	if again, err := asker.KeyUse(t.Context(), &p, token, first); err != nil || len(again.Uses) != 0 {
		t.Errorf("told again: %+v, %v", again, err)
	}
	_, other := configtest.Key(t)
	if r, err := asker.KeyUse(t.Context(), &p, config.StatusToken([][]byte{other}), config.KeyUseReport{}); err == nil {
		t.Errorf("with another host key's token: %+v", r)
	}
}
