package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestException: Legacy2026 requires networks and an expiration, whichever program wrote listener.json.
func TestException(t *testing.T) {
	end := time.Now().Add(time.Hour)
	past := time.Now().Add(-time.Hour)
	some := []string{"192.0.2.0/24", "2001:db8::/32"}
	for name, tc := range map[string]struct {
		policy   string
		notAfter *time.Time
		from     []string
		say      string
	}{
		"both":              {"Legacy2026", &end, some, ""},
		"ended":             {"Legacy2026", &past, some, ""}, // the default applies
		"no end":            {"Legacy2026", nil, some, "requires cryptoPolicyNotAfter"},
		"an end of zero":    {"Legacy2026", &time.Time{}, some, "requires cryptoPolicyNotAfter"},
		"no networks":       {"Legacy2026", &end, nil, "allowFrom must not be empty"},
		"all of IPv4":       {"Legacy2026", &end, append(some, "0.0.0.0/0"), "length 0"},
		"all of IPv6":       {"Legacy2026", &end, append(some, "::/0"), "length 0"},
		"all of mapped":     {"Legacy2026", &end, append(some, "::ffff:0:0/96"), "length 0"},
		"no network":        {"Legacy2026", &end, []string{"everywhere"}, "allowFrom"},
		"default":           {"Modern2026", nil, nil, ""},
		"default, with end": {"Modern2026", &end, nil, ""},
		"strict, with end":  {"Strict2026", &end, nil, ""},
		"of a later year":   {"Modern2030", nil, nil, ""}, // where it is looked up, the error lists the names
	} {
		l := exampleListener()
		l.Version = config.Version
		l.HostKeys = []config.HostKey{{File: config.File{Name: "hostkey-0", SHA256: strings.Repeat("0", 64)}}}
		l.CryptoPolicy, l.CryptoPolicyNotAfter, l.AllowFrom = tc.policy, tc.notAfter, tc.from
		err := l.Validate()
		if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
