package daemon_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestBeforeConfiguration: the daemon is live but not ready until it has a configuration.
func TestBeforeConfiguration(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	d := daemontest.StartUnconfigured(t, dir)
	d.Eventually(t, "alive", func() bool { code, _ := d.Get(t, "/livez"); return code == http.StatusOK })
	if code, body := d.Get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no configuration") {
		t.Errorf("/readyz %d %s", code, body)
	}
	d.Eventually(t, "the failure is shown", func() bool { return d.Status(t).Error != "" })
	if st := d.Status(t); st.Digest != "" || !st.LoadedAt.IsZero() || st.Version != "test" {
		t.Errorf("%+v", st)
	}
	if c, err := d.Dial("ada", ssh.Password("secret")); err == nil {
		c.Close()
		t.Error("logged in without a configuration")
	}
	d.Reload(t, dir)
	if code, body := d.Get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz %d %s", code, body)
	}
	d.MustDial(t, "ada", ssh.Password("secret"))
	d.Terminate()
	if err := d.Wait(t, 30*time.Second); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestReadyNeedsVolumes(t *testing.T) {
	dir := configtest.New(t)
	d := daemontest.Start(t, dir)
	if err := os.Rename(dir.Volume(), dir.Volume()+".away"); err != nil {
		t.Fatal(err)
	}
	code, body := d.Get(t, "/readyz")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "volume data") || strings.Contains(body, dir.Volume()) {
		t.Errorf("/readyz %d %s", code, body)
	}
	if code, _ := d.Get(t, "/livez"); code != http.StatusOK {
		t.Errorf("/livez %d", code)
	}
	if err := os.Rename(dir.Volume()+".away", dir.Volume()); err != nil {
		t.Fatal(err)
	}
	if code, body := d.Get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz %d %s", code, body)
	}
}

// TestReadyWithoutANewVolume: a pod that was created before a volume was added to its configuration continues to serve the
// others.
func TestReadyWithoutANewVolume(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	d := daemontest.Start(t, dir)
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "more", Path: dir.Volume() + ".more"})
	dir.AddUser("bob", "secret").Mounts[0].Volume = "more"
	d.Reload(t, dir)
	if code, body := d.Get(t, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz %d %s", code, body)
	}
	d.MustDial(t, "ada", ssh.Password("secret"))
	d.Eventually(t, "the missing volume is told", func() bool {
		return slices.Contains(d.Status(t).Volumes, config.VolumeStatus{Name: "more", Problem: config.VolumeNotMounted, UID: os.Geteuid()})
	})
	if _, body := d.Get(t, "/metrics"); !strings.Contains(body, "sftpd_volume_writable{volume=\"data\"} 1\n") ||
		!strings.Contains(body, "sftpd_volume_writable{volume=\"more\"} 0\n") {
		t.Errorf("metrics:\n%s", body)
	}
}

// TestNotReadyWithoutVolumes: with none of its volumes, the daemon has nothing to serve.
func TestNotReadyWithoutVolumes(t *testing.T) {
	dir := configtest.New(t)
	dir.Listener.Volumes[0].Path += ".missing"
	d := daemontest.StartUnconfigured(t, dir)
	d.Reload(t, dir)
	if code, body := d.Get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no volume is available") {
		t.Errorf("/readyz %d %s", code, body)
	}
}

// TestHealthNamesNoUser: the health port reveals no login names.
func TestHealthNamesNoUser(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("lovelace", "secret")
	dir.AddUser("hopper", "secret").Password.Hash = "broken"
	d := daemontest.Start(t, dir)
	c := d.MustDial(t, "lovelace", ssh.Password("secret"))
	if _, err := d.Dial("turing", ssh.Password("secret")); err == nil {
		t.Error("logged in")
	}
	c.Close()
	d.WaitAudit(t, "logout", 1)
	for _, path := range []string{"/configz", "/metrics", "/readyz", "/livez"} {
		code, body := d.Get(t, path)
		if code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
		// "uid-hopper" is the UID that configtest assigns.
		body = strings.ReplaceAll(body, "uid-hopper", "")
		for _, secret := range []string{"lovelace", "hopper", "turing", "127.0.0.1", dir.Volume(), "secret"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s has %q", path, secret)
			}
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/configz/x"} {
		if code, _ := d.Get(t, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := d.Request(t, http.MethodPost, "/configz"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
}

func TestMetrics(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	d := daemontest.Start(t, dir)
	d.MustDial(t, "ada", ssh.Password("secret"))
	if c, err := d.Dial("ada", ssh.Password("wrong")); err == nil {
		c.Close()
	}
	d.WaitAudit(t, "login_refused", 1)
	var body string
	d.Eventually(t, "the refused connection is gone", func() bool {
		_, body = d.Get(t, "/metrics")
		return strings.Contains(body, "\nsftpd_connections 1\n")
	})
	for _, want := range []string{
		`sftpd_build_info{go_version="go`, `version="test"} 1`,
		"sftpd_sessions 1\n",
		`sftpd_logins_total{method="Password",result="ok"} 1`,
		`sftpd_logins_total{method="Password",result="refused"} 1`,
		`sftpd_refusals_total{reason="wrong_password"} 1`,
		"sftpd_config_reloads_total 1\n", "sftpd_config_reload_errors_total 0\n",
		"sftpd_config_users 1\n", "sftpd_config_rejected_users 0\n", "sftpd_config_loaded_timestamp_seconds 1.",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestConfigz: the operator reads a config.Status.
func TestConfigz(t *testing.T) {
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	d := daemontest.Start(t, dir)
	digest := dir.Write(t)
	_, body := d.Get(t, "/configz")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "volumes") // they are checked a little later
	delete(got, "retention")
	if got["digest"] != digest || got["users"] != 1.0 || got["version"] != "test" || got["loadedAt"] == nil || got["sessions"] != 0.0 || len(got) != 5 {
		t.Errorf("/configz: %s", body)
	}
}
