package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Rows of the table that are about logging in.
const (
	keyLogin      = "log in with a key"
	passwordLogin = "log in with a password"
	otherHostKey  = "another host key than the known one is refused"
)

// TestClients uses the daemon with the clients of the table. docs/interop.md has it.
func TestClients(t *testing.T) {
	ran := &outcome{rows: []string{keyLogin, passwordLogin, otherHostKey}}
	for _, b := range behaviours() {
		ran.rows = append(ran.rows, b.name)
	}
	for _, d := range drivers() {
		t.Run(d.name, func(t *testing.T) { useClient(t, d, ran) })
	}
	t.Logf("what passed:\n%s", ran)
}

func useClient(t *testing.T, d *driver, ran *outcome) {
	for _, program := range d.tools {
		need(t, program)
	}
	o, key, password, stranger := newAccounts(t)
	for _, a := range []*account{key, password, stranger} {
		if d.setUp != nil {
			must(t, d.setUp(a))
		}
	}
	row := func(name string, test func(*testing.T)) {
		passed := t.Run(strings.ReplaceAll(name, "/", "-"), test)
		ran.add(d.name, name, passed)
	}
	login := func(a *account, methods ...string) func(*testing.T) {
		return func(t *testing.T) {
			before := len(o.daemon.Audit(t, "login"))
			write(t, a.here("hello"), "hello")
			must(t, d.copy.put(a, pair{"hello", "/hello"}))
			holds(t, a.at("hello"), "hello")
			last := o.daemon.WaitAudit(t, "login", before+1)
			if last["user"] != "ada" || !slices.Contains(methods, fmt.Sprint(last["methods"])) {
				t.Errorf("audit: %v", last)
			}
		}
	}
	row(keyLogin, login(key, "[publickey]"))
	row(passwordLogin, login(password, "[password]", "[keyboard-interactive]"))
	row(otherHostKey, func(t *testing.T) {
		write(t, stranger.here("never"), "never")
		if err := d.copy.put(stranger, pair{"never", "/never"}); err == nil {
			t.Error("the client logged in")
		}
		if _, err := os.Lstat(stranger.at("never")); err == nil {
			t.Error("the client put a file")
		}
	})
	for _, b := range behaviours() {
		reason, lacks := d.lacks[b.name]
		if has := b.has == nil || b.has(d); !has || lacks {
			if reason == "" || b.has != nil && has {
				t.Errorf("%s: the driver must either do it or have the reason", b.name)
			}
			continue
		}
		row(b.name, func(t *testing.T) {
			empty(t, key.remote)
			key.local = t.TempDir()
			b.test(t, d, key)
		})
	}
	for _, s := range d.also {
		row(s.name, func(t *testing.T) {
			empty(t, key.remote)
			key.local = t.TempDir()
			bring(t, key.local, big)
			must(t, s.do(key))
		})
	}
	if strings.Contains(o.daemon.RawAudit()+o.daemon.Log(), secret) {
		t.Error("the password is in the logs")
	}
}

// empty removes what is in a directory.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
}
