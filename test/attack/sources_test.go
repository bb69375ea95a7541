package attack

import (
	"bufio"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// welcomes reports whether the daemon sends its version to an address.
func welcomes(t *testing.T, d *daemontest.Daemon, from string) bool {
	t.Helper()
	c, err := daemontest.DialFrom(d.Addr, from)
	if err != nil {
		return false // refused before connect(2) returned
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.HasPrefix(line, "SSH-2.0-")
}

// password tries a password from an address and returns the number of the answer, 0 for none.
func password(t *testing.T, d *daemontest.Daemon, from, user, password string) byte {
	t.Helper()
	p, err := daemontest.NewPeer(d.Addr, from)
	if err != nil {
		return 0
	}
	defer p.Close()
	if p.Exchange() != nil || p.WritePacket(daemontest.UserauthPassword(user, password)) != nil {
		return 0
	}
	answer, err := p.ReadPacket()
	if err != nil {
		return 0
	}
	return answer[0]
}

// spoil sends garbage from an address, each time on a new connection.
func spoil(t *testing.T, d *daemontest.Daemon, from string, times int) {
	t.Helper()
	for range times {
		p, err := daemontest.NewPeer(d.Addr, from)
		if err != nil {
			continue
		}
		_ = raw(p, append(garbage, make([]byte, 300)...))
		_ = p.Ended(p.Wait) // or it is reset
		p.Close()
	}
}

const ok, no = daemontest.MsgUserauthSuccess, daemontest.MsgUserauthFailure

// TestPenalties: a source that misbehaves is refused, a user who fails is refused from that source, and all others are
// unaffected. Each refusal has its reason in log and metrics, and exempt sources have none.
func TestPenalties(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("bob", "secret")
	dir.Listener.Sources.ExemptFrom = []string{"127.0.0.9/32"}
	d := start(t, dir)
	const bad, careless, exempt, good = "127.0.0.2", "127.0.0.3", "127.0.0.9", "127.0.0.1"

	began := time.Now()
	spoil(t, d, bad, 15) // 5 seconds each; 30 are needed, plus what decays in the meantime
	d.Eventually(t, "the source is refused", func() bool { return metrics(t, d)["sftpd_penalized_sources"] == 1 })
	for range 20 {
		if welcomes(t, d, bad) {
			t.Fatal("a source with a penalty is not refused")
		}
	}
	spoil(t, d, exempt, 20)
	if !welcomes(t, d, exempt) || !welcomes(t, d, good) {
		t.Error("someone else is refused")
	}
	d.Eventually(t, "the refusals are counted", func() bool { return refusals(metrics(t, d))["source_penalized"] >= 20 })
	line := d.WaitAudit(t, "connection_refused", 1)
	minutes := 1 + int(time.Since(began)/time.Minute) // in each, the first one has a line, and the others are counted
	if n := len(d.Audit(t, "connection_refused")); n > minutes || line["reason"] != "source_penalized" || !strings.HasPrefix(line["source"].(string), bad+":") {
		t.Errorf("audit: %d lines, %v", n, line)
	}

	for range 15 { // the same for the user, a second each for the source
		if password(t, d, careless, "ada", "wrong") != no {
			t.Error("a wrong password is not answered")
		}
	}
	if password(t, d, careless, "ada", "secret") != no {
		t.Error("ada failed many times but is not refused from there")
	}
	if password(t, d, careless, "bob", "secret") != ok || password(t, d, good, "ada", "secret") != ok {
		t.Error("bob is refused from there, or ada from elsewhere")
	}
	d.Eventually(t, "the refusal is counted", func() bool { return refusals(metrics(t, d))["login_penalized"] > 0 })
	d.Eventually(t, "the audit log has it", func() bool {
		return slices.ContainsFunc(d.Audit(t, "login_refused"), func(line map[string]any) bool {
			return line["reason"] == "login_penalized" && line["user"] == "ada"
		})
	})
	for range 20 {
		if password(t, d, exempt, "ada", "wrong") != no {
			t.Error("a wrong password is not answered")
		}
	}
	if password(t, d, exempt, "ada", "secret") != ok {
		t.Error("ada is refused from an exempt source")
	}
}

// TestPenaltiesEnd: penalties of a source and of a user end on time.
func TestPenaltiesEnd(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	dir.AddUser("ada", "secret")
	const longest = 5
	dir.Listener.Sources.MaxPenaltySeconds = longest
	d := start(t, dir)
	spoil(t, d, "127.0.0.2", 1)
	// At once, because a password may take as long as the penalty on a busy machine.
	d.Eventually(t, "the source is refused", func() bool { return metrics(t, d)["sftpd_penalized_sources"] == 1 })
	charged := time.Now() // or later
	_ = password(t, d, "127.0.0.3", "ada", "wrong")
	begin := time.Now()
	if password(t, d, "127.0.0.3", "ada", "secret") != no && time.Since(begin) < time.Second {
		t.Error("ada is not refused")
	}
	d.Eventually(t, "the source is welcome again", func() bool { return welcomes(t, d, "127.0.0.2") })
	d.Eventually(t, "and so is ada", func() bool { return password(t, d, "127.0.0.3", "ada", "secret") == ok })
	if took := time.Since(charged); took < longest*time.Second {
		t.Errorf("both are over after %s", took)
	}
}

// TestRandomEarlyDrop: above one number of startups some connections are refused, and above another one all, as long as the
// existing ones have exchanged keys.
func TestRandomEarlyDrop(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	dir.Listener.Startups = config.Startups{Begin: 5, DropPercent: 50, Full: 10}
	dir.Listener.Authentication.LoginGraceSeconds = 600 // the existing ones stay
	d := start(t, dir)
	hold := func() bool {
		p, err := daemontest.NewPeer(d.Addr, "")
		if err != nil || p.Exchange() != nil {
			return false
		}
		t.Cleanup(func() { p.Close() })
		return true
	}
	for i := range 5 {
		if !hold() {
			t.Fatalf("start-up %d of 5 is refused", i+1)
		}
	}
	const tries = 200
	welcome := 0
	for range tries {
		if welcomes(t, d, "") {
			welcome++
		}
		d.Eventually(t, "it has gone", func() bool { return metrics(t, d)["sftpd_startups"] == 5 })
	}
	if welcome < tries/4 || welcome > tries*3/4 { // 7 standard deviations from one half
		t.Errorf("%d of %d are welcome, with a probability of one half", welcome, tries)
	}
	for range 200 {
		_ = hold()
	}
	m := metrics(t, d)
	if m["sftpd_startups"] > 10 || refusals(m)["startups"] < tries-welcome {
		t.Errorf("%v start-ups, refused %v", m["sftpd_startups"], refusals(m))
	}
	if got := d.WaitAudit(t, "connection_refused", 1); got["reason"] != "startups" {
		t.Errorf("audit: %v", got)
	}
}

// TestAllowedNetworks: the listener's networks apply before anything is sent, and a user's at login.
func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.AddUser("ada", "secret", key.PublicKey())
	dir.AddUser("near", "secret").AllowFrom = []string{"127.0.0.1/32"}
	dir.Listener.AllowFrom = []string{"127.0.0.0/30"}
	d := start(t, dir)
	if !welcomes(t, d, "127.0.0.1") || !welcomes(t, d, "127.0.0.3") || welcomes(t, d, "127.0.0.4") {
		t.Error("the networks that may connect are not the listener's")
	}
	if got := d.WaitAudit(t, "connection_refused", 1); got["reason"] != "source_not_allowed" {
		t.Errorf("audit: %v", got)
	}
	if password(t, d, "127.0.0.1", "near", "secret") != ok || password(t, d, "127.0.0.2", "near", "secret") != no || password(t, d, "127.0.0.2", "ada", "secret") != ok {
		t.Error("the networks that the user may log in from are not its own")
	}
	if got := d.WaitAudit(t, "login_refused", 1); got["reason"] != "source_not_allowed" || got["user"] != "near" {
		t.Errorf("audit: %v", got)
	}
	d.Eventually(t, "two refusals are counted", func() bool { return refusals(metrics(t, d))["source_not_allowed"] == 2 })
}
