package server

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestShutdownWritesWhatIsTallied: refusals that were counted and not yet written get their line
// when the daemon ends.
func TestShutdownWritesWhatIsTallied(t *testing.T) {
	none := func() *snapshot.Snapshot { return nil }
	var out bytes.Buffer
	s := New(Options{
		Current: none, Auth: auth.New(none), Metrics: metrics.New("test"), Log: slog.New(slog.DiscardHandler), Audit: audit.New(&out, func() (string, string) { return "platform", "partners" }),
	})
	r := audit.Refusal{Event: audit.LoginRefused, Reason: string(event.SourcePenalized), Source: netip.MustParsePrefix("192.0.2.0/24")}
	for range 4 {
		s.refusals.tally.Count(r)
	}
	s.refusals.tally.Count(audit.Refusal{Event: audit.LoginRefused, Reason: "once"})
	s.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], `"count":3`) || !strings.Contains(lines[0], "192.0.2.0/24") || !strings.Contains(lines[0], string(event.SourcePenalized)) {
		t.Errorf("audit log\n%s", out.String())
	}
}
