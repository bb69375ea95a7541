package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestTimesOfAKey: a key has a time to log in with, or its record is refused.
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
