package daemon_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/retention"
)

// retained is a daemon for which all files are a month old.
func retained(t *testing.T, dir *configtest.Dir) *daemontest.Daemon {
	t.Helper()
	return daemontest.StartWith(t, dir, func(o *daemon.Options) {
		o.RetentionDelay = time.Millisecond
		o.AdjustRetention = func(r *retention.Runner) { r.Ahead = 30 * 24 * time.Hour }
	})
}

func run(t *testing.T, d *daemontest.Daemon, rule string, done func(config.RetentionStatus) bool) config.RetentionStatus {
	t.Helper()
	var last config.RetentionStatus
	d.Eventually(t, rule+" has run", func() bool {
		for _, r := range d.Status(t).Retention {
			if r.Rule == rule && done(r) {
				last = r
				return true
			}
		}
		return false
	})
	return last
}

func client(t *testing.T, d *daemontest.Daemon, user string) *sftp.Client {
	t.Helper()
	c, err := sftp.NewClient(d.MustDial(t, user, ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func put(t *testing.T, c *sftp.Client, path, content string) *sftp.File {
	t.Helper()
	f, err := c.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRetention: a rule reports, and deletes when it is enforced; what is being transferred stays, and each file that is
// deleted has a line in the audit log.
func TestRetention(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret").Mounts[0].SubPath = "team/ada"
	dir.Listener.Uploads.Publish = config.PublishOnClose
	d := retained(t, dir)
	c := client(t, d, "ada")
	home := filepath.Join(dir.Volume(), "team/ada")
	if err := c.Mkdir("/in"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/in/a.csv", "/in/b.csv", "/in/open.csv", "/keep.csv"} {
		if err := put(t, c, name, "content").Close(); err != nil {
			t.Fatal(err)
		}
		mtime := time.Now().AddDate(-10, 0, 0)
		if err := c.Chtimes(name, mtime, mtime); err != nil {
			t.Fatal(err)
		}
	}
	reading, err := c.Open("/in/open.csv")
	if err != nil {
		t.Fatal(err)
	}
	writing := put(t, c, "/in/new.csv", "half")
	broken := client(t, d, "ada")
	put(t, broken, "/in/broken.csv", "half")
	broken.Close()
	d.Eventually(t, "the leftover is there", func() bool { return len(staged(t, home+"/in")) == 2 })

	rule := config.RetentionRule{
		Name: "old", RetentionDirectory: config.RetentionDirectory{Volume: "data", Scope: config.RetentionOfUsers, SubPath: "in"},
		DeleteAfterSeconds: 7 * 24 * 3600, Mode: config.RetentionReport,
	}
	dir.Listener.Retention.Rules = []config.RetentionRule{rule}
	d.Reload(t, dir)
	r := run(t, d, "old", func(r config.RetentionStatus) bool { return true })
	if r.Due != 3 || r.Files != 3 || r.DueBytes != 21 || r.Deleted != 0 || r.Halted != "" {
		t.Errorf("report: %+v", r)
	}
	if got := d.Audit(t, "file_expired"); len(got) != 0 {
		t.Errorf("a report deleted %v", got)
	}

	dir.Listener.Retention.Rules[0].Mode = config.RetentionEnforce
	d.Reload(t, dir)
	r = run(t, d, "old", func(r config.RetentionStatus) bool { return r.Deleted > 0 })
	if r.Due != 3 || r.Deleted != 2 || r.InUse != 1 || r.Halted != "" {
		t.Errorf("enforced: %+v", r)
	}
	for name, want := range map[string]bool{"in/a.csv": false, "in/b.csv": false, "in/open.csv": true, "keep.csv": true} {
		if _, err := os.Lstat(filepath.Join(home, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := io.ReadAll(reading); err != nil || string(got) != "content" {
		t.Errorf("the download: %q %v", got, err)
	}
	line := d.WaitAudit(t, "file_expired", 2)
	if line["rule"] != "old" || line["volume"] != "data" || line["account"] != "team/ada" || line["size"] != 7.0 || line["result"] != "ok" ||
		!strings.HasPrefix(line["path"].(string), "team/ada/in/") {
		t.Errorf("%v", line)
	}

	// Another pod continues with what this one has left on the volume. The first run on a volume deletes nothing.
	if left := staged(t, home+"/in"); len(left) != 2 {
		t.Errorf("staged files: %v", left)
	}
	forget(t, dir.Volume(), config.StaleUploads)
	other := retained(t, dir)
	other.Eventually(t, "the leftover is gone", func() bool { return len(staged(t, home+"/in")) == 1 })
	line = other.WaitAudit(t, "file_expired", 1)
	if line["rule"] != config.StaleUploads || line["size"] != 4.0 {
		t.Errorf("%v", line)
	}
	if _, err := io.WriteString(writing, "+half"); err != nil {
		t.Error(err)
	}
	if err := writing.Close(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(home, "in/new.csv")); err != nil || string(got) != "half+half" {
		t.Errorf("the upload: %q %v", got, err)
	}
	if _, body := d.Get(t, "/metrics"); !strings.Contains(body, `sftpd_retention_deleted_files_total{rule="old"} 2`) {
		t.Error("no metric")
	}
}

func staged(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".sftpd-upload.") {
			names = append(names, e.Name())
		}
	}
	return names
}

// forget makes a rule due again.
func forget(t *testing.T, volume, rule string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(volume, ".sftpd-upload.retention-state-*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	name := found[0]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	delete(state["rules"].(map[string]any)[rule].(map[string]any)["result"].(map[string]any), "lastRun")
	if data, err = json.Marshal(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
