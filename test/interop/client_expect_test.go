package interop

import (
	"fmt"
	"path/filepath"
	"testing"
)

// TestExpect logs in as scripts do: it waits for the word "password:" and sends the password. Of the daemon's methods,
// OpenSSH's client prefers keyboard-interactive, and then prints the daemon's prompts.
func TestExpect(t *testing.T) {
	tool(t, "expect")
	tool(t, "sftp")
	script, err := filepath.Abs("testdata/password.expect")
	must(t, err)
	for _, method := range []string{"keyboard-interactive", "password"} {
		for _, others := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/only=%v", method, !others), func(t *testing.T) {
				o, _, a, _ := newAccounts(t)
				write(t, a.here("hello"), "hello")
				methods := method
				if others {
					methods += ",keyboard-interactive,password"
				}
				must(t, a.do("", "expect", script, a.password, "sftp", "-F", "none", "-P", a.port, "-o", "StrictHostKeyChecking=yes",
					"-o", "UserKnownHostsFile="+a.known, "-o", "GlobalKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no",
					"-o", "PreferredAuthentications="+methods, a.user+"@"+a.host))
				holds(t, a.at("hello"), "hello")
				if last := o.daemon.WaitAudit(t, "login", 1); fmt.Sprint(last["methods"]) != "[Password]" {
					t.Errorf("audit: %v", last)
				}
			})
		}
	}
}
