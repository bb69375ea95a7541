package servers

import (
	"strings"
	"testing"
)

func TestParsePeer(t *testing.T) {
	p, err := parsePeer("sftpgo=127.0.0.1:2022=/sys/fs/cgroup/x,user=u,key=/k,root=/r,password=a=b,hash=bcrypt,restart=/again")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{p.Label, p.Addr, p.group, p.User, p.KeyFile, p.Root, p.Remote, p.Password, p.PasswordHash, p.restart}
	if want := "sftpgo 127.0.0.1:2022 /sys/fs/cgroup/x u /k /r / a=b bcrypt /again"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{
		"", "x", "x=127.0.0.1:1", "x=127.0.0.1:1=/c", "x=127.0.0.1:1=/c,user=u,key=/k", "x=127.0.0.1:1=/c,user=u,key=/k,root=/r,other=1",
		"x=127.0.0.1:1=/c,user=u,key=/k,root=",
	} {
		if _, err := parsePeer(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestStale(t *testing.T) {
	for name, want := range map[string]bool{
		"/tmp/sftp-bench-1": false, "/x/sftp-bench-1-sftpd": false, "/tmp/sftp-bench-other": false,
		"/tmp/sftp-bench-4194304999": true, // more than any system provides
	} {
		if got := stale(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
