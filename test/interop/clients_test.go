package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rows of the table that are about logging in.
const (
	keyLogin      = "log in with a key"
	passwordLogin = "log in with a password"
	otherHostKey  = "a host key other than the known one is refused"
)

// TestClients runs the clients of the table against the daemon. docs/interop.md has the table.
func TestClients(t *testing.T) {
	ran := &outcome{rows: []string{keyLogin, passwordLogin, otherHostKey}}
	for _, b := range behaviors() {
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
	o, key, password, stranger := newAccountsWith(t, d.keys())
	for _, a := range []*account{key, password, stranger, key.dropBox} {
		if d.setUp != nil {
			must(t, d.setUp(a))
		}
	}
	row := func(name string, test func(*testing.T)) {
		passed := t.Run(strings.ReplaceAll(name, "/", "-"), test)
		ran.add(d.name, name, passed)
	}
	login := func(c *client, methods string) func(*testing.T) {
		return func(t *testing.T) {
			before := len(o.daemon.Audit(t, "login"))
			write(t, c.here("hello"), "hello")
			c.judge(t, c.copy.put(c.account, pair{"hello", "/hello"}), func() {
				holds(t, c.at("hello"), "hello")
				last := o.daemon.WaitAudit(t, "login", before+1)
				if last["user"] != "ada" || fmt.Sprint(last["methods"]) != methods {
					t.Errorf("audit: %v", last)
				}
			})
		}
	}
	row(keyLogin, login(&client{d, key, keyLogin}, "[PublicKey]"))
	row(passwordLogin, login(&client{d, password, passwordLogin}, "[Password]"))
	row(otherHostKey, func(t *testing.T) {
		c, before := &client{d, stranger, otherHostKey}, len(o.daemon.Audit(t, "login"))
		write(t, c.here("never"), "never")
		c.refuses(t, c.copy.put(stranger, pair{"never", "/never"}), func() {
			gone(t, c.at("never"))
			if n := len(o.daemon.Audit(t, "login")); n != before {
				t.Error("the client logged in")
			}
		})
	})
	for _, b := range behaviors() {
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
			c := &client{d, key, b.name}
			b.test(t, c)
			c.notSeen(t)
		})
	}
	for _, s := range d.also {
		row(s.name, func(t *testing.T) {
			empty(t, key.remote)
			key.local = t.TempDir()
			bring(t, key.local, big)
			c := &client{d, key, s.name}
			s.do(t, c)
			c.notSeen(t)
		})
	}
	if strings.Contains(o.daemon.RawAudit()+o.daemon.Log(), secret) {
		t.Error("the password is in the logs")
	}
}

// empty removes the content of a directory. Homes are created by the first login.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !errors.Is(err, os.ErrNotExist) {
		must(t, err)
	}
	for _, e := range entries {
		must(t, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
}
