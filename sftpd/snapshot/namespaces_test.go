package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

func TestNamespaces(t *testing.T) {
	dir := configtest.New(t)
	none, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if none.Shared() || none.NamespaceOf("ada") != "" {
		t.Errorf("without users: shared %v, %q", none.Shared(), none.NamespaceOf("ada"))
	}
	for i := range 3 {
		dir.AddUser(fmt.Sprint("a", i), "secret").Namespace = "team-a"
	}
	one, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if one.Shared() || one.NamespaceOf("a1") != "team-a" || one.NamespaceOf("nobody") != "team-a" {
		t.Errorf("with one namespace: shared %v, %q, %q", one.Shared(), one.NamespaceOf("a1"), one.NamespaceOf("nobody"))
	}
	dir.AddUser("b", "secret").Namespace = "team-b"
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Shared() || s.NamespaceOf("b") != "team-b" {
		t.Errorf("with two namespaces: shared %v, %q", s.Shared(), s.NamespaceOf("b"))
	}
	// Unknown names are assigned to namespaces in the same proportions as existing ones: 1,000 of 4,000, with a standard
	// deviation of 27.
	again, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range 4000 {
		name := fmt.Sprint("nobody", i)
		counts[s.NamespaceOf(name)]++
		if s.NamespaceOf(name) != again.NamespaceOf(name) {
			t.Fatalf("%s has another namespace after a restart", name)
		}
	}
	if n := counts["team-b"]; n < 800 || n > 1200 || n+counts["team-a"] != 4000 {
		t.Errorf("names that do not exist: %v", counts)
	}
}
