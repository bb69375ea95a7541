package trace_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/trace/tracetest"
)

const tracedPassword = "correct horse battery"

// use logs in, uploads a file and downloads it, and logs out.
func use(t *testing.T, d *daemontest.Daemon, user, name string) {
	t.Helper()
	c := d.MustDial(t, user, ssh.Password(tracedPassword))
	defer c.Close()
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	f, err := files.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = files.Open(name); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "content" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestTraces: a login, an upload and a download form one trace, to which the audit log refers.
func TestTraces(t *testing.T) {
	c := tracetest.Start(t)
	dir := configtest.New(t)
	dir.AddUser("ada", tracedPassword)
	d := daemontest.Start(t, dir)
	use(t, d, "ada", "/untraced")
	d.WaitAudit(t, "logout", 1)
	dir.Listener.Tracing = config.Tracing{Endpoint: c.Endpoint, SamplingPercent: 100}
	d.Reload(t, dir) // without a restart
	if refused, err := d.Dial("ada", ssh.Password("wrong "+tracedPassword)); err == nil {
		refused.Close()
		t.Error("logged in")
	}
	if stranger, err := d.Dial("stranger", ssh.Password(tracedPassword)); err == nil {
		stranger.Close()
		t.Error("logged in")
	}
	use(t, d, "ada", "/report.csv")
	connection := d.WaitAudit(t, "logout", 2)["connection"]
	spans := c.Wait(4)
	root := fmt.Sprint(connection)
	byName := map[string]tracetest.Span{}
	for _, s := range spans {
		byName[s.GetName()] = s
		if s.Trace != root+root {
			t.Errorf("%s is in the trace %s, the connection is %s", s.GetName(), s.Trace, root)
		}
		if s.GetName() != "sftp session" && s.Parent != root {
			t.Errorf("%s has the parent %s", s.GetName(), s.Parent)
		}
		if s.Resource["service.name"] != "public" || s.Resource["service.namespace"] != "files" || s.Resource["service.version"] != "test" {
			t.Errorf("resource %v", s.Resource)
		}
		for _, secret := range []string{tracedPassword, "stranger", "wrong", "content", "argon2id"} {
			if strings.Contains(s.String(), secret) {
				t.Errorf("%q in %s", secret, s)
			}
		}
	}
	session := byName["sftp session"]
	if len(spans) != 4 || session.ID != root || session.Parent != "" {
		t.Errorf("%d spans, root %v", len(spans), session)
	}
	for name, want := range map[string]map[string]string{
		"sftp session": {"client.address": "127.0.0.1", "user.name": "ada", "sftp.account": "team/ada"},
		"login":        {"sftp.methods": "Password", "sftp.host_key_algorithm": "ssh-ed25519"},
		"upload":       {"file.path": "/report.csv", "sftp.bytes_written": "int(7)", "sftp.bytes_read": "int(0)"},
		"download":     {"file.path": "/report.csv", "sftp.bytes_written": "int(0)", "sftp.bytes_read": "int(7)"},
	} {
		s := byName[name]
		got := tracetest.Attributes(s.GetAttributes())
		for key, v := range want {
			if got[key] != v {
				t.Errorf("%s: %s is %q, want %q", name, key, got[key], v)
			}
		}
		if s.GetStartTimeUnixNano() < session.GetStartTimeUnixNano() || s.GetEndTimeUnixNano() > session.GetEndTimeUnixNano() ||
			s.GetStartTimeUnixNano() > s.GetEndTimeUnixNano() {
			t.Errorf("%s is not within its session", name)
		}
	}
	d.Eventually(t, "the metric counts four spans", func() bool {
		_, body := d.Get(t, "/metrics")
		return strings.Contains(body, "sftpd_trace_spans_total{result=\"sent\"} 4\n")
	})
	// Spans that have not been sent yet are sent at shutdown.
	use(t, d, "ada", "/last")
	d.Terminate()
	if err := d.Wait(t, 30*time.Second); err != nil {
		t.Error(err)
	}
	if got := len(c.Spans()); got != 8 {
		t.Errorf("%d spans in the end", got)
	}
}

// TestTracesWithoutCollector: a collector that hangs or is unavailable costs sessions nothing, and delays the daemon's shutdown
// by a bounded time.
func TestTracesWithoutCollector(t *testing.T) {
	hanging := tracetest.Start(t)
	hanging.Answer(hanging.Hang)
	for name, endpoint := range map[string]string{"hanging": hanging.Endpoint, "away": "http://127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			dir := configtest.New(t)
			dir.AddUser("ada", tracedPassword)
			dir.Listener.Tracing = config.Tracing{Endpoint: endpoint, SamplingPercent: 100}
			d := daemontest.Start(t, dir)
			for n := range 5 {
				use(t, d, "ada", fmt.Sprintf("/%d", n))
			}
			if name == "hanging" { // while a request hangs
				d.Eventually(t, "spans are sent", func() bool { return hanging.Requests() > 0 })
				use(t, d, "ada", "/more")
			}
			d.Terminate()
			if err := d.Wait(t, 30*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}
