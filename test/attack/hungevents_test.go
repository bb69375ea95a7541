package attack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestHungVolumeOfEvents: while the volume of events never answers, an upload waits for its own event and is then refused.
// Downloads are served, users are removed as fast as ever, and SIGTERM ends the process on time.
func TestHungVolumeOfEvents(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	volume := t.TempDir()
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "hung", Path: volume})
	dir.RecordEvents(config.EventSink{Name: "all", Types: events.Types()})
	dir.Listener.Events.Volume = "hung"
	dir.Listener.Uploads.Publish = config.PublishOnClose
	dir.AddUser("uploader", "secret")
	d := start(t, dir)
	sessions := map[string]*busyWriter{}
	for _, user := range []string{"a", "b", "c", "d"} {
		sessions[user] = newWriter(t, d, user)
	}
	client, err := sftp.NewClient(d.MustDial(t, "uploader", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	if took, err := upload(client, "/before"); err != nil {
		t.Fatal(took, err)
	}
	hang(t, volume)
	dir.Listener.Name = "other" // its events are in another directory, which has to be opened
	d.Reload(t, dir)

	refused := make(chan string, 1)
	go func() {
		_, err := upload(client, "/refused")
		if err == nil {
			err = sftp.ErrSSHFxOk
		}
		refused <- err.Error()
	}()
	time.Sleep(200 * time.Millisecond) // it waits by now
	revokedMeanwhile(t, d, dir, sessions)
	began := time.Now()
	reader, err := sftp.NewClient(d.MustDial(t, "uploader", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Stat("/before"); err != nil {
		t.Error(err)
	}
	t.Logf("ENDS hung volume of events: a login and a request of another session took %s", time.Since(began).Round(time.Millisecond))
	select {
	case err := <-refused:
		if !strings.Contains(err, "volume for events does not answer") {
			t.Error(err)
		}
	case <-time.After(30 * daemontest.Second()):
		t.Error("the upload waits forever")
	}
	if _, err := os.Stat(filepath.Join(dir.Home("uploader"), "refused")); err == nil {
		t.Error("it was published")
	}
	if took, err := upload(reader, "/next"); err == nil || took > 5*time.Second {
		t.Errorf("the next one waits for %s: %v", took, err)
	}
	terminated := time.Now()
	d.Terminate()
	_ = d.Wait(t, 6*time.Second+8*daemontest.Second()) // interrupted transfers are not a failure here
	t.Logf("ENDS hung volume of events: SIGTERM with a drain timeout of 2s took %s", time.Since(terminated).Round(time.Millisecond))
}

func upload(client *sftp.Client, name string) (time.Duration, error) {
	began := time.Now()
	f, err := client.Create(name)
	if err == nil {
		if _, err = f.Write([]byte("content")); err == nil {
			err = f.Close()
		}
	}
	return time.Since(began), err
}
