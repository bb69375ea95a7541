package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

var eventsKey = strings.Repeat("k", 52) + "\n"

func exampleEvents() config.Events {
	return config.Events{
		Sinks:  []config.EventSink{{Name: "jobs", Types: []events.Type{events.FilePublished}}, {Name: "audit-2", Types: events.Types()}},
		Source: events.Source("", "files", "public"),
		Key:    config.File{Name: config.EventsKeyFile, SHA256: config.Digest([]byte(eventsKey))}, Volume: "data",
		MaxBytes: 1 << 20, MaxAgeSeconds: 3600, WhenFull: config.WhenFullDropOldest, TemporaryNames: []string{"*.filepart", "*.part", ".*.swp"},
	}
}

func TestEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*config.Events)
		say    string
	}{
		"all": {func(*config.Events) {}, ""},
		"defaults": {func(e *config.Events) {
			e.Volume, e.MaxBytes, e.MaxAgeSeconds, e.WhenFull, e.TemporaryNames = "", 0, 0, "", nil
		}, ""},
		"off":              {func(e *config.Events) { *e = config.Events{Source: "x"} }, ""},
		"no key":           {func(e *config.Events) { e.Key = config.File{} }, "events.key must be set"},
		"key elsewhere":    {func(e *config.Events) { e.Key.Name = "../key" }, "not a file name"},
		"key's digest":     {func(e *config.Events) { e.Key.SHA256 = "" }, "sha256"},
		"no source":        {func(e *config.Events) { e.Source = "" }, "events.source"},
		"volume":           {func(e *config.Events) { e.Volume = "none" }, `no volume "none"`},
		"few bytes":        {func(e *config.Events) { e.MaxBytes = 1<<20 - 1 }, "maxBytes"},
		"negative bytes":   {func(e *config.Events) { e.MaxBytes = -1 }, "maxBytes"},
		"negative age":     {func(e *config.Events) { e.MaxAgeSeconds = -1 }, "maxAgeSeconds"},
		"age that wraps":   {func(e *config.Events) { e.MaxAgeSeconds = 1 << 62 }, "maxAgeSeconds"},
		"keys a week":      {func(e *config.Events) { e.KeyExpiringSeconds = 7 * 86400 }, ""},
		"keys in the past": {func(e *config.Events) { e.KeyExpiringSeconds = -1 }, "keyExpiringSeconds"},
		"keys that wrap":   {func(e *config.Events) { e.KeyExpiringSeconds = 1 << 62 }, "keyExpiringSeconds"},
		"when full":        {func(e *config.Events) { e.WhenFull = "Panic" }, `"Panic" is not known`},
		"many sinks":       {func(e *config.Events) { e.Sinks = make([]config.EventSink, 17) }, "at most 16 entries"},
		"name of a sink":   {func(e *config.Events) { e.Sinks[0].Name = "../x" }, "is not the name of a sink"},
		"same name":        {func(e *config.Events) { e.Sinks[0].Name = "audit-2" }, `two sinks are named "audit-2"`},
		"no types":         {func(e *config.Events) { e.Sinks[0].Types = nil }, "has no types"},
		"unknown type":     {func(e *config.Events) { e.Sinks[0].Types = []events.Type{"x"} }, `"x" of sink "jobs" is not known`},
		"pattern":          {func(e *config.Events) { e.TemporaryNames = []string{"[a"} }, "is not a pattern"},
		"pattern of paths": {func(e *config.Events) { e.TemporaryNames = []string{"a/b"} }, "is not a pattern"},
		"empty pattern":    {func(e *config.Events) { e.TemporaryNames = []string{""} }, "is not a pattern"},
		"many patterns":    {func(e *config.Events) { e.TemporaryNames = make([]string, 33) }, "at most 32 entries"},
	} {
		l := exampleListener()
		l.Events = exampleEvents()
		tc.change(&l.Events)
		_, err := config.EncodeListener(l, [][]byte{[]byte("key")}, nil)
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e config.Events
	if e.On() || e.Bytes() != 64<<20 || e.Age() != 7*24*time.Hour || e.Drops() {
		t.Errorf("defaults: %d bytes, %v", e.Bytes(), e.Age())
	}
	if e = exampleEvents(); !e.On() || e.Bytes() != 1<<20 || e.Age() != time.Hour || !e.Drops() {
		t.Errorf("%d bytes, %v", e.Bytes(), e.Age())
	}
}

// TestEventsKey: the key is one of the files that must match each other.
func TestEventsKey(t *testing.T) {
	l := exampleListener()
	l.Events = exampleEvents()
	raw, err := config.EncodeListener(l, [][]byte{[]byte("key")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store(t, dir, map[string][]byte{config.ListenerFile: raw, config.HostKeyFile(0): []byte("key")})
	if _, err := config.Load(dir); !errors.Is(err, config.ErrInconsistent) {
		t.Errorf("no key: %v", err)
	}
	store(t, dir, map[string][]byte{config.EventsKeyFile: []byte(strings.Repeat("o", 52))})
	if _, err := config.Load(dir); !errors.Is(err, config.ErrInconsistent) {
		t.Errorf("another key: %v", err)
	}
	store(t, dir, map[string][]byte{config.EventsKeyFile: []byte(eventsKey)})
	files, err := config.Read(dir, nil)
	if err != nil || string(files.EventsKey) != strings.TrimSpace(eventsKey) {
		t.Errorf("%q, %v", files.EventsKey, err)
	}
	l.Events.Key.SHA256 = config.Digest([]byte("short"))
	if raw, err = config.EncodeListener(l, [][]byte{[]byte("key")}, nil); err != nil {
		t.Fatal(err)
	}
	store(t, dir, map[string][]byte{config.ListenerFile: raw, config.EventsKeyFile: []byte("short")})
	if _, err := config.Read(dir, nil); err == nil || strings.Contains(err.Error(), "short\"") {
		t.Errorf("a short key: %v", err)
	}
}
