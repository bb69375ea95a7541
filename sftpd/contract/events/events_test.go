package events_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

func example() *events.Event {
	e := &events.Event{
		SpecVersion: events.SpecVersion, ID: "4XKQ2N7Z5V3M6T8R9W1Y2B4C6D",
		Source: events.Source("", "files", "public"), Type: events.FilePublished,
		Subject: events.Subject("team-a", "acme", "/in/a.csv"), Time: time.Date(2026, 11, 30, 5, 0, 0, 1000, time.UTC),
		DataContentType: events.DataContentType, PartitionKey: "team-a/acme", Sequence: "00001764478800000000",
		AuthType: events.AuthUser, AuthID: "team-a/acme",
		Data: events.Data{Listener: "files/public", User: "team-a/acme", Login: "acme", Size: new(int64(12)), Connection: "0123456789abcdef", SourceAddress: "192.0.2.1:5"},
	}
	e.Data.SetPath("/in/a.csv")
	return e
}

// TestEncoding pins the format that consumers read: a change to it requires a new version of the type.
func TestEncoding(t *testing.T) {
	got, err := events.Encode(example())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"specversion":"1.0","id":"4XKQ2N7Z5V3M6T8R9W1Y2B4C6D",` +
		`"source":"https://sftp-operator/apis/sftp-operator.io/v1alpha1/namespaces/files/sftplisteners/public",` +
		`"type":"io.sftp-operator.file.published.v1","subject":"team-a/acme/in/a.csv","time":"2026-11-30T05:00:00.000001Z",` +
		`"datacontenttype":"application/json","partitionkey":"team-a/acme","sequence":"00001764478800000000",` +
		`"authtype":"app_user","authid":"team-a/acme","data":{"listener":"files/public","user":"team-a/acme","login":"acme",` +
		`"path":"/in/a.csv","size":12,"connection":"0123456789abcdef","source_address":"192.0.2.1:5"}}`
	if string(got) != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	back, err := events.Decode(got)
	if err != nil || !reflect.DeepEqual(back, example()) {
		t.Errorf("%+v, %v", back, err)
	}
	newer := strings.Replace(want, `"data":{`, `"new":1,"data":{"new":{},`, 1)
	if back, err := events.Decode([]byte(newer)); err != nil || !reflect.DeepEqual(back, example()) {
		t.Errorf("with new fields: %+v, %v", back, err)
	}
}

func TestValidate(t *testing.T) {
	for name, change := range map[string]func(*events.Event){
		"specversion":      func(e *events.Event) { e.SpecVersion = "0.3" },
		"no id":            func(e *events.Event) { e.ID = "" },
		"long id":          func(e *events.Event) { e.ID = strings.Repeat("x", 513) },
		"control in id":    func(e *events.Event) { e.ID = "a\nb" },
		"no type":          func(e *events.Event) { e.Type = "" },
		"no time":          func(e *events.Event) { e.Time = time.Time{} },
		"no sequence":      func(e *events.Event) { e.Sequence = "" },
		"content type":     func(e *events.Event) { e.DataContentType = "text/plain" },
		"relative source":  func(e *events.Event) { e.Source = "/apis" },
		"no source":        func(e *events.Event) { e.Source = "" },
		"blank in source":  func(e *events.Event) { e.Source = "https://a/b c" },
		"subject":          func(e *events.Event) { e.Subject = strings.Repeat("x", events.MaxSubject+1) },
		"subject no UTF-8": func(e *events.Event) { e.Subject = "a\xff" },
		"nonchar":          func(e *events.Event) { e.PartitionKey = "a\uFFFE" },
	} {
		e := example()
		change(e)
		if raw, err := events.Encode(e); err == nil {
			t.Errorf("%s: %s", name, raw)
		}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := events.Decode(raw); err == nil && name != "subject no UTF-8" { // json.Marshal replaces it
			t.Errorf("%s is decoded", name)
		}
	}
	e := example()
	e.Data.Reason = strings.Repeat("x", events.MaxSize)
	if _, err := events.Encode(e); !errors.Is(err, events.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := events.Decode(make([]byte, events.MaxSize+1)); !errors.Is(err, events.ErrTooLarge) {
		t.Error(err)
	}
}

// TestHostilePaths: any path is read back exactly, and the event of two of them fits.
func TestHostilePaths(t *testing.T) {
	for _, p := range []string{
		"/plain", "/ä€𝄞", "/a\nb", "/a\x00b", "/\x7f", "/\u0085", "/\ufffd", "/\ufffe", "/\ufdd0", "/a\xffb", "/\xed\xa0\x80", "/\"\\", "/<&>", "/\u2028",
		strings.Repeat("x", 4096), strings.Repeat(`"`, 4096), strings.Repeat("\\", 1365), strings.Repeat("\n", 4096), strings.Repeat("\xff", 4096),
		strings.Repeat("€", 1365), strings.Repeat("\u2028", 1365), strings.Repeat("<", 4096), strings.Repeat("\ufffd", 1365),
	} {
		e := example()
		e.Data.SetPath(p)
		e.Data.SetOriginalPath(p)
		e.Subject = events.Subject(strings.Repeat("n", 63), strings.Repeat("u", 253), p)
		e.Data.Reason = strings.Repeat("r", 1024)
		raw, err := events.Encode(e)
		if err != nil {
			t.Errorf("%.20q: %v", p, err)
			continue
		}
		back, err := events.Decode(raw)
		if err != nil {
			t.Errorf("%.20q: %v", p, err)
			continue
		}
		got, err := back.Data.FullPath()
		if err != nil || got != p {
			t.Errorf("%.20q reads back as %.20q: %v", p, got, err)
		}
		if got, err := back.Data.FullOriginalPath(); err != nil || got != p {
			t.Errorf("%.20q reads back as %.20q: %v", p, got, err)
		}
	}
	var d events.Data
	if d.SetPath(strings.Repeat("€", 2000)); len(d.Path) != 4095 || d.PathLength != 6000 {
		t.Errorf("%d bytes of %d", len(d.Path), d.PathLength)
	}
}

func TestTypes(t *testing.T) {
	if len(events.Types()) != 12 || len(events.DefaultTypes()) != 8 {
		t.Errorf("%v, %v", events.Types(), events.DefaultTypes())
	}
	for _, k := range events.Types() {
		if !k.Known() || !strings.HasPrefix(string(k), "io.sftp-operator.") || !strings.HasSuffix(string(k), ".v1") {
			t.Error(k)
		}
	}
	if events.Type("io.sftp-operator.file.published.v2").Known() {
		t.Error("an unknown type is known")
	}
}

func TestSources(t *testing.T) {
	if got := events.Source("prod.example.org", "a", "b"); got != "https://prod.example.org/apis/sftp-operator.io/v1alpha1/namespaces/a/sftplisteners/b" {
		t.Error(got)
	}
	if err := events.ValidateSource(events.Source("", "a", "b")); err != nil {
		t.Error(err)
	}
}
