package audit

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestLastRefusalsAreWritten: refusals that were counted but not yet written are written when the daemon exits.
func TestLastRefusalsAreWritten(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, func() (string, string) { return "platform", "partners" })
	penalized := &event.Connection{Network: netip.MustParsePrefix("192.0.2.0/24")}
	for range 4 {
		l.Emit(event.ConnectionRefused{Connection: penalized, Reason: event.SourcePenalized})
	}
	l.Emit(event.LoginRefused{Connection: penalized, Reason: event.LoginPenalized})
	if out.Len() != 0 {
		t.Errorf("a refusal did not wait for its turn: %s", out.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[2], `"count":3`) || !strings.Contains(lines[2], "192.0.2.0/24") ||
		!strings.Contains(lines[2], string(event.SourcePenalized)) {
		t.Errorf("audit log\n%s", out.String())
	}
}
