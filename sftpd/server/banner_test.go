package server_test

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestBanner: a client gets the banner of the configuration at the time it connects, with the line endings of the protocol,
// whether or not its user exists.
func TestBanner(t *testing.T) {
	t.Parallel()
	d, dir := start(t, nil)
	seen := func(user, password string) (banners []string) {
		t.Helper()
		c, err := ssh.Dial("tcp", d.Addr, &ssh.ClientConfig{
			User: user, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			BannerCallback: func(message string) error { banners = append(banners, message); return nil },
		})
		if err == nil {
			c.Close()
		}
		if (err == nil) != (password == "secret") {
			t.Errorf("%s: %v", user, err)
		}
		return banners
	}
	if got := seen("ada", "secret"); got != nil {
		t.Errorf("without a banner: %q", got)
	}
	for text, wire := range map[string]string{
		"For partners only.": "For partners only.\r\n", "Für\n\n\tPartner\n": "Für\r\n\r\n\tPartner\r\n",
	} {
		dir.Listener.Authentication.Banner = text
		d.Reload(t, dir)
		for user, password := range map[string]string{"ada": "secret", "nobody": "x"} {
			if got := seen(user, password); len(got) != 1 || got[0] != wire {
				t.Errorf("%s: %q, want %q", user, got, wire)
			}
		}
	}
}
