package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestLinesOfEvents: which events are logged, with which event type, and that the entry has the right connection fields.
func TestLinesOfEvents(t *testing.T) {
	c := &event.Connection{
		ID: "c1", Source: "192.0.2.1:5", Proxy: "10.0.0.1:7", ClientVersion: "SSH-2.0-x", User: "ada", Account: "team/ada",
		Methods: []string{"PublicKey", "Password"}, Keys: []string{"SHA256:a", "SHA256:b"},
		Certificate: &event.Certificate{CA: "SHA256:ca", KeyID: "ada@corp", Serial: 7},
	}
	session := "c1 192.0.2.1:5 10.0.0.1:7 SSH-2.0-x ada team/ada SHA256:a SHA256:ca 7"
	file := "c1 192.0.2.1:5 10.0.0.1:7 ada team/ada SHA256:a"
	for _, tc := range []struct {
		event event.Event
		want  string // event, result, reason, then the connection's fields; "" for no line
	}{
		{event.ConnectionOpened{}, ""},
		{event.ConnectionClosed{}, ""},
		{event.Probe{}, ""},
		{event.Refused{Reason: event.OpenFiles}, ""},
		{event.KeyRefused{Reason: event.KeyExpired}, ""},
		{event.SessionEnding{Reason: event.KeyRemoved}, ""},
		{event.HostKeyProof{Answered: true}, ""},
		{event.ConnectionRefused{Connection: c, Reason: event.Startups}, "connection_refused refused startups " + session},
		{event.LoginRefused{Connection: c, Reason: event.WrongPassword}, "login_refused refused wrong_password " + session},
		{event.LoginRefused{Connection: c, Reason: event.LoginPenalized}, "login_refused refused login_penalized " + session},
		{event.Login{Connection: c}, "login ok " + session},
		{event.SessionRevoked{Connection: c, Reason: event.KeyRemoved}, "session_revoked ok key_removed " + session},
		{event.Logout{Connection: c, Reason: event.IdleTimeout, Duration: time.Second}, "logout ok idle_timeout " + session},
		{event.Transfer{Connection: c, Result: event.Failed, Error: "eio"}, "transfer failed eio " + file},
		{event.TransferOpen{Connection: c}, "transfer_open ok " + file},
		{event.Operation{Connection: c, Result: event.WasRefused, Status: "denied"}, "operation refused denied " + file},
		{event.Operation{Connection: c, Result: event.WasRefused, Tallied: true}, ""},
		{event.OperationsFailed{Connection: c, Result: event.Failed, Status: "gone", Count: 3}, "operation failed gone " + file},
	} {
		var out bytes.Buffer
		l := New(&out, func() (string, string) { return "files", "public" })
		l.Emit(tc.event)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.Run(ctx)
		if out.Len() == 0 {
			if tc.want != "" {
				t.Errorf("%T: no line", tc.event)
			}
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%T: %v: %s", tc.event, err, out.String())
		}
		var words []string
		for _, field := range []string{
			"event", "result", "reason", "connection", "source", "proxy", "client_version", "user", "account", "key_fingerprint",
			"certificate_ca", "certificate_serial",
		} {
			if v, ok := got[field]; ok {
				words = append(words, fmt.Sprint(v))
			}
		}
		if have := strings.Join(words, " "); have != tc.want {
			t.Errorf("%T:\nhave %s\nwant %s", tc.event, have, tc.want)
		}
	}
}
