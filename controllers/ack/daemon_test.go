package ack

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// The operator asks a real daemon: each has the key that is derived from the Secret's content.
func TestDaemon(t *testing.T) {
	const address = "127.0.0.11"
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	dir.Write(t)
	sftp, health := daemontest.Listen(t, address+":0"), daemontest.Listen(t, address+":8081")
	d := daemon.New(daemon.Options{ConfigDir: dir.Path, SFTP: sftp, Health: health, Audit: io.Discard, Log: slog.New(slog.DiscardHandler), Pod: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	p := readyPod("a")
	p.Status.PodIP = address
	asker := NewHTTPStatusClient()
	proof := config.StatusKey(dir.HostKeys)
	keys := Keys{foreign, proof}
	known := Known{Key: func(uid, fingerprint string) bool {
		return uid == "uid-ada" && fingerprint == ssh.FingerprintSHA256(key.PublicKey())
	}}
	eventually := func(what string, condition func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within a minute: %s", what)
			}
		}
	}
	eventually("the configuration is loaded", func() bool {
		s, err := asker.Status(t.Context(), p, keys)
		return err == nil && s.Digest != "" && s.Key == proof
	})
	c, err := ssh.Dial("tcp", sftp.Addr().String(), &ssh.ClientConfig{
		User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	var first config.KeyUseReport
	eventually("the login is told", func() bool {
		first, err = asker.KeyUse(t.Context(), p, proof, known, config.KeyUseReport{})
		if err != nil {
			t.Fatal(err)
		}
		return len(first.Uses) == 1
	})
	if u := first.Uses[0]; u.UID != "uid-ada" || u.Fingerprint != ssh.FingerprintSHA256(key.PublicKey()) || len(u.Day) != len(time.DateOnly) {
		t.Errorf("%+v", u)
	}
	if again, err := asker.KeyUse(t.Context(), p, proof, known, first); err != nil || len(again.Uses) != 0 {
		t.Errorf("told again: %+v, %v", again, err)
	}
	_, other := configtest.Key(t)
	otherKey := config.StatusKey([][]byte{other})
	if r, err := asker.KeyUse(t.Context(), p, otherKey, known, config.KeyUseReport{}); err == nil {
		t.Errorf("with another host key: %+v", r)
	}
	if a, err := asker.Status(t.Context(), p, Keys{otherKey, foreign}); !errors.Is(err, ErrUnproven) {
		t.Errorf("with another host key: %+v, %v", a, err)
	}
	// The answer comes from a pod other than the one that was asked.
	renamed := p.DeepCopy()
	renamed.Name = "b"
	if a, err := asker.Status(t.Context(), renamed, keys); !errors.Is(err, ErrUnproven) {
		t.Errorf("as another pod: %+v, %v", a, err)
	}
	if r, err := asker.KeyUse(t.Context(), renamed, proof, known, config.KeyUseReport{}); err == nil {
		t.Errorf("as another pod: %+v", r)
	}
	if r, err := asker.KeyUse(t.Context(), p, proof, Known{}, config.KeyUseReport{}); err != nil || len(r.Uses) > 0 {
		t.Errorf("about no known user: %+v, %v", r, err)
	}
}
