package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// header1 and header2 build PROXY protocol headers for a client.
func header1(client string) string {
	return fmt.Sprintf("PROXY TCP4 %s 192.0.2.254 40000 22\r\n", client)
}

func header2(client string) string {
	from := netip.MustParseAddr(client).As4()
	return "\r\n\r\n\x00\r\nQUIT\n" + string(slices.Concat([]byte{0x21, 0x11, 0, 12}, from[:], []byte{192, 0, 2, 254, 0x9c, 0x40, 0, 22}))
}

// through tries a password behind a header, and returns the number of the answer, 0 for none.
func through(t *testing.T, d *daemontest.Daemon, proxy, header, user string) byte {
	t.Helper()
	p, err := daemontest.NewPeer(d.Addr, proxy)
	if err != nil {
		return 0
	}
	defer p.Close()
	p.Wait = 10 * time.Second
	if _, err := p.Write([]byte(header)); err != nil || p.Exchange() != nil {
		return 0
	}
	if p.WritePacket(daemontest.UserauthPassword(user, "secret")) != nil {
		return 0
	}
	answer, err := p.ReadPacket()
	if err != nil {
		return 0
	}
	return answer[0]
}

// TestProxyProtocol: where it is required, a header from a proxy determines the client's address for networks, penalties and
// the audit log; without a header, or from elsewhere, no client gets in.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	dir.AddUser("ada", "secret")
	dir.AddUser("near", "secret").AllowFrom = []string{"192.0.2.7/32"}
	dir.Listener.AllowFrom = []string{"192.0.2.0/24"} // not the proxy's
	dir.Listener.ProxyProtocol = &config.ProxyProtocol{TrustedFrom: []string{"127.0.0.2/32"}}
	d := start(t, dir)
	const proxy, client, other = "127.0.0.2", "192.0.2.7", "192.0.2.8"
	logins := 0
	for name, header := range map[string]func(string) string{"version 1": header1, "version 2": header2} {
		if through(t, d, proxy, header(client), "ada") != ok {
			t.Errorf("%s: no login", name)
		}
		logins++
		if last := d.WaitAudit(t, "login", logins); last["source"] != client+":40000" || !strings.HasPrefix(last["proxy"].(string), proxy+":") {
			t.Errorf("%s: audit: %v", name, last)
		}
		if through(t, d, proxy, header("198.51.100.1"), "ada") != 0 {
			t.Errorf("%s: a client from outside of the listener's networks got in", name)
		}
		if through(t, d, proxy, header(client), "near") != ok || through(t, d, proxy, header(other), "near") != no {
			t.Errorf("%s: a user's networks are not applied to clients", name)
		}
		logins++
		if through(t, d, "127.0.0.1", header(client), "ada") != 0 {
			t.Errorf("%s: a header is accepted from an address that is not a proxy", name)
		}
	}
	if through(t, d, proxy, "", "ada") != 0 {
		t.Error("a login without a header succeeded")
	}
	// A second header from a client is just a line before its version, and has no effect.
	logins++
	if through(t, d, proxy, header1(client)+header1(other), "ada") != ok || d.WaitAudit(t, "login", logins)["source"] != client+":40000" {
		t.Error("the first of two headers is ignored")
	}
	for _, reason := range []string{"source_not_allowed", "not_a_proxy", "proxy_header"} {
		d.Eventually(t, reason+" is logged and counted", func() bool {
			logged := func(line map[string]any) bool { return line["reason"] == reason }
			return slices.ContainsFunc(d.Audit(t, "connection_refused"), logged) && refusals(metrics(t, d))[reason] > 0
		})
	}

	// A health check by the proxy itself.
	audit, log := d.RawAudit(), d.Log()
	for _, check := range []string{"", "PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		p, err := daemontest.NewPeer(d.Addr, proxy)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write([]byte(check)); err != nil {
			t.Fatal(err)
		}
		if check != "" {
			_ = p.Ended(p.Wait)
		}
		_ = p.CloseOrderly()
	}
	d.Eventually(t, "checks are counted", func() bool { return metrics(t, d)["sftpd_tcp_probes_total"] == 3 })
	if d.RawAudit() != audit || d.Log() != log {
		t.Error("there are lines in the logs")
	}

	// A client's penalty does not apply to the proxy.
	for range 15 {
		p, err := daemontest.NewPeer(d.Addr, proxy)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw(p, append([]byte(header2(other)), append(garbage, make([]byte, 300)...)...))
		_ = p.Ended(p.Wait)
		p.Close()
	}
	d.Eventually(t, "the client is refused", func() bool { return metrics(t, d)["sftpd_penalized_sources"] == 1 })
	if through(t, d, proxy, header1(other), "ada") != 0 || through(t, d, proxy, header1(client), "ada") != ok {
		t.Error("a client with a penalty is not refused, or a different client is")
	}
}
