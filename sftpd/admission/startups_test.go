package admission

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestStartupsOfANamespace: where namespaces share a listener, one of them gets at most half of the number of logins in progress
// at which connections begin to be refused at random, but at least one.
func TestStartupsOfANamespace(t *testing.T) {
	const never = 1 << 30 // the share of connections that are refused at random rises up to here
	for name, tc := range map[string]struct {
		startups config.Startups
		alone    bool
		want     int // 0 for no limit
	}{
		"half":            {config.Startups{Begin: 8, Full: never}, false, 4},
		"rounded down":    {config.Startups{Begin: 7, Full: never}, false, 3},
		"at least one":    {config.Startups{Begin: 1, Full: never}, false, 1},
		"no limit at all": {config.Startups{}, false, 0},
		"one namespace":   {config.Startups{Begin: 8, Full: never}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := configtest.New(t)
			key, _ := configtest.Key(t) // without passwords, whose hashes take a while
			dir.AddUser("ada", "", key.PublicKey())
			if !tc.alone {
				dir.AddUser("bob", "", key.PublicKey()).Namespace = "other"
			}
			dir.Listener.Startups = tc.startups
			dir.Write(t)
			files, err := config.Read(dir.Path, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := snapshot.Build(files, nil, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			a := New()
			in := 0
			for range 2 * 8 {
				p := a.NewPlace(time.Now(), nil)
				if reason := p.Connect(netip.Addr{}, s); reason != "" { // not TCP: no limit of its source applies
					t.Fatal(reason)
				}
				if reason := p.Named(s.NamespaceOf("ada"), s); reason == "" {
					in++
				} else if reason != event.NamespaceStartups {
					t.Errorf("refused for %q", reason)
				}
			}
			want := tc.want
			if want == 0 {
				want = 2 * 8
			}
			if in != want {
				t.Errorf("%d logins in progress, want %d", in, want)
			}
			if tc.alone {
				return
			}
			p := a.NewPlace(time.Now(), nil)
			if reason := p.Connect(netip.Addr{}, s); reason != "" {
				t.Fatal(reason)
			}
			if reason := p.Named("other", s); reason != "" {
				t.Errorf("another namespace: %q", reason)
			}
		})
	}
}
