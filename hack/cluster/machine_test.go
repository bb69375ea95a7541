package main

import (
	"slices"
	"testing"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts(`22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup none rw,cpu
31 22 0:27 / /var/lib/a\040b\134c rw shared:5 master:2 - tmpfs none rw
a damaged line
`)
	want := []mount{{"/", "ext4"}, {"/sys/fs/cgroup/cpu", "cgroup"}, {`/var/lib/a b\c`, "tmpfs"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHasCapability(t *testing.T) {
	const status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t000001fffeffffff\nCapBnd:\tffffffffffffffff\n"
	if hasCapability(status, 24) {
		t.Error("capability 24 is not in CapEff")
	}
	if !hasCapability(status, 23) || hasCapability("Name:\tx\n", 0) {
		t.Error("wrong answer")
	}
}

func TestMissingPackages(t *testing.T) {
	got := missingPackages(func(program string) bool { return program != "ctr" && program != "containerd" && program != "ip" })
	if want := []string{"containerd", "iproute2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := missingPackages(func(string) bool { return true }); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}
