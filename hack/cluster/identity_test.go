package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestStartTime(t *testing.T) {
	const tail = " S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 10"
	for _, name := range []string{"(sh)", "(a b)", "(x) S 1 (y)"} {
		if got, err := startTime([]byte("7 " + name + tail)); err != nil || got != 4242 {
			t.Errorf("%s: %d, %v; want 4242", name, got, err)
		}
	}
	for _, bad := range []string{"", "7 (sh", "7 (sh) S 1", "7 (sh) Z 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 10"} {
		if got, err := startTime([]byte(bad)); err == nil {
			t.Errorf("%q: %d, want an error", bad, got)
		}
	}
}

// sleeper starts a process that ends with the test.
func sleeper(t *testing.T) (*exec.Cmd, identity) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestKillSparesWhoeverHasThePIDNow(t *testing.T) {
	cmd, id := sleeper(t)
	for what, change := range map[string]func(*identity){
		"another start time": func(id *identity) { id.Start-- },
		"another boot":       func(id *identity) { id.Boot = "x" },
		"another executable": func(id *identity) { id.Exe = "/bin/other" },
	} {
		other := id
		change(&other)
		if other.runs() {
			t.Errorf("%s: considered the same process", what)
		}
		if err := other.kill(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !id.runs() {
		t.Fatal("a process was killed because of another one's record")
	}
	if err := id.kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if id.runs() {
		t.Error("still runs after its own record was used to kill it")
	}
}

func TestKillOfWhatIsGone(t *testing.T) {
	cmd, id := sleeper(t)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := id.kill(); err != nil {
		t.Error(err)
	}
	if _, err := identify(id.PID); !errors.Is(err, os.ErrNotExist) && err == nil {
		t.Error("identified a process that is gone")
	}
}

func TestOurs(t *testing.T) {
	s := defaults(t)
	for _, c := range []struct {
		exe  string
		args []string
		want bool
	}{
		{"/cache/kubelet", []string{"kubelet", "--root-dir=" + s.Dir + "/kubelet"}, true},
		{"/usr/bin/containerd-shim-runc-v2", []string{"shim", "-address", s.Dir + "/containerd/containerd.sock"}, true},
		{s.Dir + "/bin/volume-provisioner", []string{"volume-provisioner"}, true},
		{"/usr/bin/kubelet", []string{"kubelet", "--root-dir=/var/lib/kubelet"}, false},
		{"/usr/bin/containerd", []string{"containerd"}, false},
		{"/cache/kubelet", []string{"--root-dir=" + s.Dir + "-other/kubelet"}, false},
		{"/usr/bin/less", []string{"less", s.Dir + "/logs/kubelet.log"}, false},
		{"/cache/kubectl", []string{"kubectl", "--kubeconfig=" + s.kubeconfig()}, false},
	} {
		if got := ours(s, c.exe, c.args); got != c.want {
			t.Errorf("ours(%s %q) = %v, want %v", c.exe, c.args, got, c.want)
		}
	}
}
