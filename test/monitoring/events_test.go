package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/outbox"
)

// eventSchemas returns the schemas in docs/events by type, made strict about unknown fields.
func eventSchemas(t *testing.T) map[events.Type]*validate.SchemaValidator {
	t.Helper()
	out := map[events.Type]*validate.SchemaValidator{}
	for _, kind := range events.Types() {
		var s spec.Schema
		name := strings.TrimPrefix(string(kind), "io.sftp-operator.") + ".schema.json"
		if err := json.Unmarshal(read(t, filepath.Join("docs/events", name)), &s); err != nil {
			t.Fatal(name, err)
		}
		if e := s.Properties["type"].Enum; len(e) != 1 || e[0] != string(kind) {
			t.Errorf("%s is about %v", name, e)
		}
		closed := &spec.SchemaOrBool{Allows: false}
		data := s.Properties["data"]
		data.AdditionalProperties = closed
		s.Properties["data"] = data
		s.AdditionalProperties = closed
		out[kind] = validate.NewSchemaValidator(&s, nil, "", strfmt.Default)
	}
	return out
}

// TestEventSchemas: real events of each type conform to their schemas, even with hostile names.
func TestEventSchemas(t *testing.T) {
	schemas := eventSchemas(t)
	dir := configtest.New(t)
	soon, _ := configtest.Key(t)
	past, _ := configtest.Key(t)
	dir.AddUser("acme", "secret", soon.PublicKey(), past.PublicKey())
	dir.Users[0].Keys[0].NotAfter, dir.Users[0].Keys[1].NotAfter = new(time.Now().Add(time.Hour)), new(time.Now().Add(-time.Hour))
	dir.RecordEvents(config.EventSink{Name: "all", Types: events.Types()})
	dir.IssueReceipts(t)
	dir.Listener.Uploads.Publish = config.PublishOnClose
	dir.Listener.Events.TemporaryNames = []string{"*.part"}
	d := daemontest.StartWith(t, dir, func(o *daemon.Options) { o.KeysEvery = 50 * time.Millisecond })
	client, err := sftp.NewClient(d.MustDial(t, "acme", ssh.Password("secret")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain", "a b", "\xff\xfe", "a\nb", `"\`, "ü\u2028", strings.Repeat("n", 255)} {
		use(t, client, "/"+name)
	}
	if _, err := client.Create("/unfinished"); err != nil {
		t.Fatal(err)
	}
	client.Close()
	for _, user := range []string{"acme", "no\x1bbody\xff"} {
		if _, err := d.Dial(user, ssh.Password("wrong")); err == nil {
			t.Error("logged in")
		}
	}
	relay := &events.Client{Key: configtest.EventsKey()}
	seen, after := map[events.Type]int{events.FileExpired: 1}, "" // see TestSchemaOfExpiredFiles
	for end := time.Now().Add(time.Minute); len(seen) < len(schemas) && time.Now().Before(end); {
		lines, err := relay.Pull(t.Context(), d.Health, events.Query{Sink: "all", After: after, Limit: events.MaxLimit, Wait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			var e struct{ Type events.Type }
			if err := json.Unmarshal(l.Event, &e); err != nil || schemas[e.Type] == nil {
				t.Fatalf("%v: %s", err, l.Event)
			}
			for _, p := range problems(t, schemas[e.Type], string(l.Event)) {
				t.Errorf("%v: %s", p, l.Event)
			}
			seen[e.Type]++
			after = l.Cursor
		}
	}
	for kind := range schemas {
		if seen[kind] == 0 {
			t.Errorf("no event of type %s", kind)
		}
	}
	wrong := `{"specversion":"1.0","id":"x","type":"io.sftp-operator.file.deleted.v1","data":{"listener":"a/b","new":1}}`
	if len(problems(t, schemas[events.FileDeleted], wrong)) < 5 {
		t.Error("the schema refuses too little")
	}
}

// use does everything with a name that causes an event.
func use(t *testing.T, client *sftp.Client, name string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	f, err := client.Create(name)
	must(err)
	_, err = f.Write([]byte("content"))
	must(err)
	must(f.Close())
	f, err = client.Open(name)
	must(err)
	_, err = f.Read(make([]byte, 3))
	must(err)
	must(f.Close())
	must(client.PosixRename(name, "/x.part"))
	must(client.PosixRename("/x.part", name))
	must(client.Remove(name))
	must(client.Mkdir(name))
	must(client.RemoveDirectory(name))
}

// TestSchemaOfExpiredFiles: files that retention deletes have an event, even without a user.
func TestSchemaOfExpiredFiles(t *testing.T) {
	schema := eventSchemas(t)[events.FileExpired]
	dir := configtest.New(t)
	dir.RecordEvents(config.EventSink{Name: "all", Types: events.Types()})
	box := outbox.New(outbox.Options{Pod: "pod", Log: slog.New(slog.DiscardHandler)})
	box.Configure(&dir.Listener, nil, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); box.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	port := httptest.NewServer(box.Handler(configtest.EventsKey))
	t.Cleanup(port.Close)
	expired := []event.FileExpired{
		{Rule: "old", Volume: "data", Path: "team/acme/in/a\xff", Account: "team/acme", Size: 7, Uploaded: time.Now()},
		{Rule: "empty", Volume: "data", Path: "shared", Uploaded: time.Now(), Directory: true},
	}
	for _, e := range expired {
		box.Emit(e)
	}
	relay := &events.Client{Key: configtest.EventsKey()}
	var lines []events.Line
	for end := time.Now().Add(time.Minute); len(lines) < len(expired) && time.Now().Before(end); {
		var err error
		if lines, err = relay.Pull(t.Context(), port.URL, events.Query{Sink: "all", Limit: 10, Wait: time.Second}); err != nil && !errors.Is(err, events.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if len(lines) != len(expired) {
		t.Fatalf("%d events", len(lines))
	}
	for _, l := range lines {
		for _, p := range problems(t, schema, string(l.Event)) {
			t.Errorf("%v: %s", p, l.Event)
		}
	}
	e, err := events.Decode(lines[1].Event)
	if err != nil || e.Subject != "data/shared" || e.PartitionKey != "" || !e.Data.Directory || e.Data.Rule != "empty" {
		t.Errorf("%+v, %v", e, err)
	}
}
