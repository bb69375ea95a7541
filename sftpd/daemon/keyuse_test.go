package daemon_test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestKeyUse: with 1,000 logins by 100 keys over five runs of the daemon, a caller that polls learns of each key once per run,
// and of no other key.
func TestKeyUse(t *testing.T) {
	const users, keysEach, lives, logins = 20, 5, 5, 200
	dir := configtest.New(t)
	type identity struct {
		user string
		key  ssh.Signer
	}
	var identities []identity
	for i := range users {
		name := "user" + string(rune('a'+i))
		var public []ssh.PublicKey
		for range keysEach {
			key, _ := configtest.Key(t)
			identities = append(identities, identity{name, key})
			public = append(public, key.PublicKey())
		}
		dir.AddUser(name, "", public...)
	}
	random := rand.New(rand.NewPCG(1, 2))
	today := time.Now().UTC().Format(time.DateOnly)
	known := config.KeyUseReport{}
	for life := range lives {
		t.Run("", func(t *testing.T) { // when it exits, so does the daemon
			d := daemontest.Start(t, dir)
			used, told := map[string]bool{}, map[string]int{}
			hear := func(after int) {
				d.WaitAudit(t, "login", after) // the client learns of its login a little earlier
				known = d.KeyUse(t, dir, known)
				for _, u := range known.Uses {
					told[u.UID+" "+u.Fingerprint]++
					if u.Day < today || u.Day > time.Now().UTC().Format(time.DateOnly) {
						t.Errorf("day %s, logins were since %s", u.Day, today)
					}
				}
			}
			for n := range logins {
				who := identities[random.IntN(len(identities))]
				c, err := d.Dial(who.user, ssh.PublicKeys(who.key))
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				used["uid-"+who.user+" "+ssh.FingerprintSHA256(who.key.PublicKey())] = true
				if n%50 == 49 {
					hear(n + 1)
				}
			}
			for k := range used {
				// Twice, if midnight came in between.
				if told[k] < 1 || told[k] > 2 {
					t.Errorf("life %d: %s was told %d times", life, k, told[k])
				}
			}
			if len(told) != len(used) {
				t.Errorf("life %d: %d keys told, %d used", life, len(told), len(used))
			}
			t.Logf("life %d: %d logins, %d keys used", life, logins, len(used))
		})
	}
}

// TestKeyUseNeedsTheKey: a caller without the configuration's Secret learns nothing about who logs in.
func TestKeyUseNeedsTheKey(t *testing.T) {
	key, _ := configtest.Key(t)
	other := configtest.New(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	const nonce = "a nonce of the operator"
	q := config.KeyUseQuestion{Limit: 10}
	ours := config.StatusKey(dir.HostKeys)
	right := config.KeyUseProof(ours, nonce, daemontest.Pod, q)
	header := func(nonce, proof string) http.Header {
		return http.Header{config.NonceHeader: {nonce}, config.ProofHeader: {proof}}
	}

	unconfigured := daemontest.StartUnconfigured(t, configtest.New(t))
	for name, h := range map[string]http.Header{"nothing": {}, "an empty proof": header(nonce, ""), "a proof": header(nonce, right)} {
		if code, _ := unconfigured.RequestWith(t, http.MethodGet, daemontest.KeyUsePath(q), h); code != http.StatusUnauthorized {
			t.Errorf("%s without a configuration: %d", name, code)
		}
	}

	d := daemontest.Start(t, dir)
	d.MustDial(t, "ada", ssh.PublicKeys(key))
	d.WaitAudit(t, "login", 1)
	for name, tc := range map[string]struct {
		q config.KeyUseQuestion
		h http.Header
	}{
		"nothing":                {q, http.Header{}},
		"no proof":               {q, header(nonce, "")},
		"a part of it":           {q, header(nonce, right[1:])},
		"more than it":           {q, header(nonce, right+"0")},
		"in upper case":          {q, header(nonce, strings.ToUpper(right))},
		"another nonce":          {q, header(nonce+"2", right)},
		"no nonce":               {q, header("", config.KeyUseProof(ours, "", daemontest.Pod, q))},
		"a short nonce":          {q, header("short", config.KeyUseProof(ours, "short", daemontest.Pod, q))},
		"another question":       {config.KeyUseQuestion{Limit: 11}, header(nonce, right)},
		"of another instance":    {config.KeyUseQuestion{Instance: "i", Limit: 10}, header(nonce, right)},
		"after another sequence": {config.KeyUseQuestion{Sequence: 1, Limit: 10}, header(nonce, right)},
		"for another pod":        {q, header(nonce, config.KeyUseProof(ours, nonce, daemontest.Pod+"2", q))},
		"with another host key":  {q, header(nonce, config.KeyUseProof(config.StatusKey(other.HostKeys), nonce, daemontest.Pod, q))},
		"with the status' proof": {q, header(nonce, config.StatusProof(ours, nonce, daemontest.Pod, nil))},
	} {
		code, body := d.RequestWith(t, http.MethodGet, daemontest.KeyUsePath(tc.q), tc.h)
		if code != http.StatusUnauthorized || strings.Contains(body, "SHA256:") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	code, body := d.RequestWith(t, http.MethodGet, daemontest.KeyUsePath(q), header(nonce, right))
	if code != http.StatusOK || strings.Contains(body, "SHA256:") || strings.Contains(body, "uid-ada") {
		t.Errorf("%d %s, want an answer that is sealed", code, body)
	}
	for _, query := range []string{"?after=x&limit=1", "?after=-1&limit=1", "", "?limit=0", "?limit=-1", "?limit=x", "?limit=2049"} {
		if code, _ := d.RequestWith(t, http.MethodGet, config.KeyUsePath+query, header(nonce, right)); code != http.StatusBadRequest {
			t.Errorf("%q: %d", query, code)
		}
	}
	report := d.KeyUse(t, dir, config.KeyUseReport{})
	if len(report.Uses) != 1 || report.Uses[0].UID != "uid-ada" {
		t.Errorf("with the token: %+v", report)
	}
	// When a user is removed, its uses are removed too, once they have been reported.
	if got := d.KeyUse(t, dir, report); len(got.Uses) != 0 {
		t.Errorf("told twice: %+v", got)
	}
	dir.Remove("ada")
	dir.AddUser("bob", "", key.PublicKey())
	d.Reload(t, dir)
	if got := d.KeyUse(t, dir, config.KeyUseReport{}); len(got.Uses) != 0 {
		t.Errorf("after the user was removed: %+v", got)
	}
}
