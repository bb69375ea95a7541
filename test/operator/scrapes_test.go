package operator

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/crypto/ssh"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/test/monitoring"
)

// The metrics that the operator and a daemon serve after they have been in use match the documents, the rules and the
// dashboard.
func TestScrapes(t *testing.T) {
	ns, _ := busyNamespace(t)
	const certificate = "sftp_operator_host_certificate_expiration_timestamp_seconds{"
	monitoring.CertifyHostKey(t, api, newListener(ns))
	var operator string
	for _, series := range []string{
		`sftp_operator_listener_ready{listener="partners",namespace="` + ns + `"} 1`,
		`sftp_operator_listener_pods{listener="partners",namespace="` + ns + `",state="acknowledged"} 1`,
		`sftp_operator_listener_users{listener="partners",namespace="` + ns + `",state="not_ready"} 1`,
		`sftp_operator_listener_users{listener="partners",namespace="` + ns + `",state="ready"} 1`,
		`sftp_operator_build_info{version="test"} 1`,
		certificate,
	} {
		eventually(t, func() error {
			recorder := httptest.NewRecorder()
			promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if operator = recorder.Body.String(); !strings.Contains(operator, series+"\n") && (series != certificate || !strings.Contains(operator, series)) {
				return fmt.Errorf("the operator does not serve %s", series)
			}
			return nil
		})
	}
	if strings.Contains(operator, "sftp_operator_acknowledgement_duration_seconds_count 0\n") {
		t.Error("no delivery was measured")
	}
	monitoring.CheckScrapes(t, usedDaemon(t), operator, "chosen-by-a-client", "chosen-too", "acme")
}

// usedDaemon returns the scrape of a daemon that has done some of everything.
func usedDaemon(t *testing.T) string {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("acme", "correct horse battery", key.PublicKey())
	dir.AddUser("gone", "", key.PublicKey())
	dir.IssueReceipts(t)
	dir.RecordEvents(config.EventSink{Name: "jobs", Types: events.DefaultTypes()})
	dir.Listener.Retention.Rules = []config.RetentionRule{{
		Name: "old", RetentionDirectory: config.RetentionDirectory{Volume: dir.Listener.Volumes[0].Name, Scope: config.RetentionOfUsers},
		DeleteAfterSeconds: 7 * 24 * 3600, Mode: config.RetentionReport,
	}}
	d := daemontest.StartWith(t, dir, func(o *daemon.Options) { o.RetentionDelay = time.Millisecond })
	for range 3 {
		if _, err := d.Dial("chosen-by-a-client", ssh.Password("chosen-too")); err == nil {
			t.Error("logged in")
		}
	}
	files, err := sftp.NewClient(d.MustDial(t, "acme", ssh.PublicKeys(key)))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	f, err := files.Create("chosen-by-a-client")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("content"))
	if err := errors.Join(err, f.Close(), files.Mkdir("chosen-too")); err != nil {
		t.Fatal(err)
	}
	gone := d.MustDial(t, "gone", ssh.PublicKeys(key))
	dir.Remove("gone")
	d.Reload(t, dir)
	_ = gone.Wait() // it was closed because the user was removed
	d.WaitAudit(t, "session_revoked", 1)
	if err := os.WriteFile(dir.Path+"/listener.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var scrape string
	d.Eventually(t, "a refused configuration in the metrics", func() bool {
		_, scrape = d.Get(t, "/metrics")
		return strings.Contains(scrape, "sftpd_config_reload_errors_total 1") && strings.Contains(scrape, "sftpd_session_duration_seconds_count 1") &&
			strings.Contains(scrape, "sftpd_retention_halted{")
	})
	return scrape
}
