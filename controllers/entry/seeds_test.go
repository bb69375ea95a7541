package entry

import (
	"fmt"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// A restart keeps the hashes of unchanged passwords.
func TestRestart(t *testing.T) {
	hash, err := password.New([]byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(t *testing.T, w *world) {
		w.put("a", "same", "password", "hunter2")
		w.put("a", "edited", "password", "hunter2")
		w.put("a", "changed", "password", "hunter3")
		previous := map[string]*config.Password{}
		for i, name := range []string{"same", "edited", "changed"} {
			source := fmt.Sprintf("uid-a-%s/%d/password", name, i+1)
			previous[source] = &config.Password{Hash: hash, Source: source}
		}
		w.put("a", "edited", "password", "hunter2") // a label, for example
		w.put("a", "changed", "password", "hunter3")
		w.Seed(previous)
		for _, name := range []string{"same", "edited", "changed"} {
			w.get(passwordRef("a", name))
		}
		time.Sleep(time.Second)
		for name, want := range map[string]config.Password{
			"same":    {Hash: hash, Source: "uid-a-same/1/password"},
			"edited":  {Hash: hash, Source: "uid-a-edited/4/password"},
			"changed": {Hash: "hash 1", Source: "uid-a-changed/5/password"},
		} {
			if e := w.get(passwordRef("a", name)); e.Password == nil || *e.Password != want || e.PasswordLength != 7 {
				t.Errorf("%s: %+v, want %+v", name, e.Password, want)
			}
		}
		if w.hashed() != 1 || len(w.seeds) != 0 {
			t.Errorf("hashed %q, %d seeds are left", w.hashes, len(w.seeds))
		}
		// A seed's password is also recognized afterwards.
		w.put("a", "same", "password", "hunter2")
		if e := w.settled(passwordRef("a", "same"), time.Second); e.Password.Hash != hash || w.hashed() != 1 {
			t.Errorf("%+v", e.Password)
		}
	})
}

func TestSeedsAreBounded(t *testing.T) {
	s := seeds{}
	for i := range 10 {
		s.add(fmt.Sprintf("uid/%d/password", i), &config.Password{Hash: "h"})
		s.add("uid/0/password", &config.Password{Hash: "twice"})
	}
	for _, source := range []string{"", "x", "uid/1", "/1/password", "uid//password", "uid/1/hash#hash"} {
		s.add(source, &config.Password{})
	}
	s.add("uid/99/nil", nil)
	if len(s) != 1 || len(s.of("uid", "password")) != maxCandidates {
		t.Errorf("%v", s)
	}
	s.spend("uid", "password")
	if len(s) != 0 {
		t.Errorf("%v", s)
	}
}
