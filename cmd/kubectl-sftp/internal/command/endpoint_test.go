package command

import "testing"

// An address without a port, such as that of a node, gets the listener's.
func TestWithPort(t *testing.T) {
	for _, tc := range []struct{ address, port, want string }{
		{"192.0.2.4", "31961", "192.0.2.4:31961"},
		{"192.0.2.4:22", "31961", "192.0.2.4:22"},
		{"node.example.com", "31961", "node.example.com:31961"},
		{"2001:db8::4", "31961", "[2001:db8::4]:31961"},
		{"[2001:db8::4]", "31961", "[2001:db8::4]:31961"},
		{"[2001:db8::4]:22", "31961", "[2001:db8::4]:22"},
		{"node", portOf(""), "node"},
		{"node", portOf("sftp.example.com:2022"), "node:2022"},
		{"", "22", ""},
	} {
		if got := withPort(tc.address, tc.port); got != tc.want {
			t.Errorf("%q with %q: %q, want %q", tc.address, tc.port, got, tc.want)
		}
	}
}
