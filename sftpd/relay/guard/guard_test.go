package guard

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

func TestCheck(t *testing.T) {
	server := netip.MustParseAddr("10.96.0.1")
	for _, c := range []struct {
		address         string
		service, public bool
	}{
		{"10.96.12.7", true, false},
		{"172.31.0.1", true, false},
		{"192.168.1.1", true, false},
		{"100.64.0.9", true, false},
		{"fd12:3456::7", true, false},
		{"::ffff:10.96.12.7", true, false},
		{"93.184.215.14", false, true},
		{"172.32.0.1", false, true},
		{"2606:2800:21f:cb07::1", false, true},
		{"64:ff9b::5db8:d70e", false, true}, // 93.184.215.14
		{"2002:5db8:d70e::1", false, true},
		{"2002:b0a:1::", false, true},   // 11.10.0.1
		{"2002:a08:808::", true, false}, // 10.8.8.8
		{"64:ff9b:1::5db8:d70e", false, true},
		{"64:ff9b:1::a08:808", true, false},

		{"10.96.0.1", false, false}, // the API server
		{"::ffff:10.96.0.1", false, false},
		{"127.0.0.1", false, false},
		{"127.8.8.8", false, false},
		{"::1", false, false},
		{"::", false, false},
		{"0.0.0.0", false, false},
		{"169.254.169.254", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::a9fe:a9fe", false, false},
		{"64:ff9b::7f00:1", false, false},
		{"64:ff9b:1::a9fe:a9fe", false, false},
		{"2002:a9fe:a9fe::", false, false},
		{"2001:0:1:2::3", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"fd00:ec2::254", false, false},
		{"fd20:ce::254", false, false},
		{"100.100.100.200", false, false},
		{"192.0.0.192", false, false},
		{"224.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"ff02::1", false, false},
		{"4000::1", false, false},
		{"::ffff:0:a9fe:a9fe", false, false},
	} {
		for reach, want := range map[delivery.Reach]bool{delivery.ReachService: c.service, delivery.ReachPublic: c.public} {
			g, err := New(delivery.Sink{Reach: reach}, server)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Check(netip.MustParseAddr(c.address)); (err == nil) != want || err != nil && !errors.Is(err, ErrAddress) {
				t.Errorf("%s, %s: %v, want allowed %v", c.address, reach, err, want)
			}
		}
	}
}

func TestNetworksOfThePlatform(t *testing.T) {
	g, err := New(delivery.Sink{Reach: delivery.ReachPublic, Networks: []string{"10.20.0.0/16"}}, netip.MustParseAddr("10.20.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"10.20.7.7": true, "10.21.0.1": false, "93.184.215.14": true, "10.20.0.1": false} {
		if err := g.Check(netip.MustParseAddr(address)); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	wide, err := New(delivery.Sink{Reach: delivery.ReachPublic, Networks: []string{"100.64.0.0/10", "fd20::/16", "192.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"100.64.0.1": true, "100.100.100.200": false, "fd20:ce::1": true, "fd20:ce::254": false, "192.0.0.192": false} {
		if err := wide.Check(netip.MustParseAddr(address)); (err == nil) != want {
			t.Errorf("%s in a wide network: %v", address, err)
		}
	}
	if err := wide.Check(netip.MustParseAddr("fd20:1::1%eth0")); err != nil {
		t.Errorf("with a zone: %v", err)
	}
	if err := wide.Check(netip.Addr{}); !errors.Is(err, ErrAddress) {
		t.Errorf("no address: %v", err)
	}
	if _, err := New(delivery.Sink{Networks: []string{"10.20.0.0"}}); err == nil {
		t.Error("an address was accepted as a network")
	}
}

// A real dialer is stopped before it connects, by the address that a name resolves to.
func TestControl(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, networks := range [][]string{nil, {"127.0.0.0/8", "::1/128"}} {
		g, err := New(delivery.Sink{Reach: delivery.ReachPublic, Networks: networks})
		if err != nil {
			t.Fatal(err)
		}
		d := net.Dialer{Control: g.Control}
		c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("localhost", port))
		if c != nil {
			_ = c.Close()
		}
		if allowed := networks != nil; (err == nil) != allowed || !allowed && !errors.Is(err, ErrAddress) {
			t.Errorf("networks %v: %v", networks, err)
		}
	}
	g, _ := New(delivery.Sink{Reach: delivery.ReachService, Networks: []string{"::/0", "0.0.0.0/0"}})
	for _, network := range []string{"udp4", "unix", "tcp"} {
		if g.Control(network, "10.0.0.1:80", nil) == nil {
			t.Errorf("network %s is allowed", network)
		}
	}
	for _, network := range []string{"tcp4", "tcp6"} {
		if err := g.Control(network, "10.0.0.1:80", nil); err != nil {
			t.Errorf("network %s is refused: %v", network, err)
		}
	}
	for _, address := range []string{"", "10.0.0.1", "receiver:80", "[fd00::1:80", ":80"} {
		if g.Control("tcp4", address, nil) == nil {
			t.Errorf("address %q is allowed", address)
		}
	}
}
