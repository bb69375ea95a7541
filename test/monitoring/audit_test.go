package monitoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/sftp-operator/sftp-operator/sftpd/audit"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// auditSchema returns docs/audit-log.schema.json, made strict about unknown fields: readers must ignore those, but this version
// of the daemon must not write one.
func auditSchema(t *testing.T) *validate.SchemaValidator {
	t.Helper()
	var s spec.Schema
	if err := json.Unmarshal(read(t, "docs/audit-log.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	if v := s.Properties["schema"].Enum; len(v) != 1 || v[0] != float64(audit.SchemaVersion) {
		t.Errorf("the schema has version %v, the lines have %d", v, audit.SchemaVersion)
	}
	s.AdditionalProperties = &spec.SchemaOrBool{Allows: false}
	return validate.NewSchemaValidator(&s, nil, "", strfmt.Default)
}

func problems(t *testing.T, v *validate.SchemaValidator, line string) []error {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return v.Validate(fields).Errors
}

// Real lines of each event match the schema.
func TestAuditSchema(t *testing.T) {
	schema := auditSchema(t)
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("acme", "correct horse battery", key.PublicKey())
	dir.AddUser("gone", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	if _, err := d.Dial("no\xffbody\x1b[31m"+strings.Repeat("x", 300), ssh.Password("wrong"), ssh.PublicKeys(key)); err == nil {
		t.Error("logged in")
	}
	files, err := sftp.NewClient(d.MustDial(t, "acme", ssh.PublicKeys(key)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Create("in")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("content"))
	if err := errors.Join(err, f.Close(), files.Rename("in", "out"), files.Mkdir("dir")); err != nil {
		t.Fatal(err)
	}
	if err := files.Remove("missing"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := files.Create("unfinished"); err != nil {
		t.Fatal(err)
	}
	gone := d.MustDial(t, "gone", ssh.PublicKeys(key))
	dir.Remove("gone")
	dir.Listener.Limits.MaxConnections = 1
	d.Reload(t, dir)
	_ = gone.Wait() // it was closed because the user was removed
	d.WaitAudit(t, "session_revoked", 1)
	if _, err := d.Dial("acme", ssh.PublicKeys(key)); err == nil {
		t.Error("logged in beyond the limit")
	}
	d.WaitAudit(t, "connection_refused", 1)
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	d.WaitAudit(t, "logout", 1)
	for _, event := range []string{"login", "login_refused", "connection_refused", "session_revoked", "logout", "transfer", "operation"} {
		if len(d.Audit(t, event)) == 0 {
			t.Errorf("there is no line with event %s, so that event is not compared", event)
		}
	}
	for line := range strings.Lines(d.RawAudit()) {
		for _, p := range problems(t, schema, line) {
			t.Errorf("%v: %s", p, line)
		}
	}
}

// An entry with every field also matches the schema, and the schema has no other fields.
func TestAuditSchemaHasAllFields(t *testing.T) {
	schema := auditSchema(t)
	fingerprint := "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
	written := map[string]bool{}
	for _, e := range []audit.Entry{
		{
			Event: audit.Login, Result: audit.OK, Connection: "0123456789abcdef", Source: "192.0.2.1:5", Proxy: "10.0.0.1:7", ClientVersion: "SSH-2.0-x",
			User: "ada", Account: "team/ada", Methods: []string{"PublicKey"}, KeyFingerprint: fingerprint, CertificateCA: fingerprint, CertificateKeyID: "ada\xff",
			CertificateSerial: "7", KeyExchange: "k", Cipher: "c", MAC: "m", HostKeyAlgorithm: "h", PublicKeyAlgorithm: "p",
		},
		{Event: audit.LoginRefused, Result: audit.Refused, Reason: "key_expired", Detail: strings.Repeat("d", 2000), Source: "192.0.2.0/24", Count: 3, KeysOffered: []string{fingerprint}},
		{
			Event: audit.Transfer, Result: audit.Aborted, Reason: "r", Connection: "0123456789abcdef", Source: "192.0.2.1:5", User: "ada", Account: "team/ada",
			Path: "/a", Direction: "upload", SHA256: strings.Repeat("0a", 32), Left: "kept", Created: true, Truncated: true,
		},
		{
			Event: audit.Operation, Result: audit.OK, Connection: "0123456789abcdef", Source: "192.0.2.1:5", User: "ada", Account: "team/ada",
			Operation: "rename", Path: "/a", Target: "/b",
			Set: event.Attributes{Size: "1", Mode: "0640", Owner: "1:4294967295", Atime: "2026-11-29T07:00:00Z", Mtime: "2026-11-29T07:00:00Z"},
		},
		{Event: audit.FileExpired, Result: audit.OK, Account: "team/ada", Rule: "old", Volume: "data", Path: "team/ada/\xff", Size: 7},
		{Event: audit.FileExpired, Result: audit.OK, Rule: "old", Volume: "data", Path: "in/empty", Directory: true},
	} {
		var b bytes.Buffer
		audit.New(&b, func() (string, string) { return "files", "partners" }).Write(e)
		for _, p := range problems(t, schema, b.String()) {
			t.Errorf("%v: %s", p, b.String())
		}
		var fields map[string]any
		if err := json.Unmarshal(b.Bytes(), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			written[name] = true
		}
	}
	var s spec.Schema
	if err := json.Unmarshal(read(t, "docs/audit-log.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	fields := string(read(t, "docs/audit-log.md"))
	for name := range s.Properties {
		if !written[name] {
			t.Errorf("the schema has %s, which no entry has", name)
		}
		if !strings.Contains(fields, "`"+name+"`") {
			t.Errorf("docs/audit-log.md does not have %s", name)
		}
	}
}

// The schema rejects invalid entries.
func TestAuditSchemaRefuses(t *testing.T) {
	schema := auditSchema(t)
	const good = `{"time":"2026-11-22T17:42:34Z","schema":1,"event":"logout","result":"ok","connection":"0123456789abcdef","source":"a:1","user":"ada","account":"t/ada","duration_ms":1}`
	if p := problems(t, schema, good); len(p) > 0 {
		t.Fatal(p)
	}
	for name, line := range map[string]string{
		"another version":         strings.Replace(good, `"schema":1`, `"schema":2`, 1),
		"another event":           strings.Replace(good, `logout`, `left`, 1),
		"a result of another one": strings.Replace(good, `"ok"`, `"failed"`, 1),
		"no duration":             strings.Replace(good, `,"duration_ms":1`, ``, 1),
		"a field more":            strings.Replace(good, `"schema"`, `"new":1,"schema"`, 1),
		"no time":                 strings.Replace(good, `2026-11-22T17:42:34Z`, `yesterday`, 1),
	} {
		if len(problems(t, schema, line)) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}
