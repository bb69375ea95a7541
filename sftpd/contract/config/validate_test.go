package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestTimesOfAKey: a key's validity period must not be empty; otherwise the record is refused.
func TestTimesOfAKey(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	before, after := at.Add(-time.Nanosecond), at.Add(time.Nanosecond)
	for name, tc := range map[string]struct {
		begin, end *time.Time
		ok         bool
	}{
		"none":         {nil, nil, true},
		"a beginning":  {&at, nil, true},
		"an end":       {nil, &at, true},
		"a moment":     {&at, &after, true},
		"no time":      {&at, &at, false},
		"an end first": {&at, &before, false},
	} {
		u := exampleUsers()[1]
		u.Keys = append([]config.Key(nil), u.Keys...)
		u.Keys[0].NotBefore, u.Keys[0].NotAfter = tc.begin, tc.end
		err := u.Validate()
		if (err == nil) != tc.ok || err != nil && !strings.Contains(err.Error(), "notBefore") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVolumesApart: volumes must not be nested, because the outer one would give access to the inner one.
func TestVolumesApart(t *testing.T) {
	for _, tc := range []struct{ a, b, say string }{
		{"/data/a", "/data/b", ""},
		{"/data/box", "/data/boxes", ""},
		{"/data", "/data/box", `volume "b" (/data/box) is inside volume "a" (/data); put them side by side`},
		{"/data/box/", "/data/./", `volume "a" (/data/box) is inside volume "b"`},
		{"/", "/data", `volume "b" (/data) is inside volume "a"`},
		{"/data", "/data/", `volumes "b" and "a" have the same path /data`},
		{"/data", "", "a volume must have a name and a path"},
	} {
		l := exampleListener()
		l.Version = config.Version
		l.HostKeys = []config.HostKey{{File: config.File{Name: "hostkey-0", SHA256: strings.Repeat("0", 64)}}}
		l.Authentication.SharedCodes = ""
		l.Volumes = []config.Volume{{Name: "a", Path: tc.a}, {Name: "b", Path: tc.b}}
		err := l.Validate()
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%q and %q: %v", tc.a, tc.b, err)
		}
	}
}
