package main

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestContainerdConfigKeepsToTheStateFolder(t *testing.T) {
	var b strings.Builder
	if err := containerdConfig.Execute(&b, containerdValues{
		Dir: "/state", PauseImage: pauseImage, CNIFolder: "/usr/lib/cni", Snapshotter: "overlayfs", RestrictOOM: true,
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`root = "/state/containerd/root"`, `state = "/state/containerd/state"`, `address = "/state/containerd/containerd.sock"`,
		`Root = "/state/containerd/runc"`, `conf_dir = "/state/cni"`, `sandbox_image = "` + pauseImage + `"`,
		"restrict_oom_score_adj = true", "netns_mounts_under_state_dir = true",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in:\n%s", want, b.String())
		}
	}
}

func TestCorefileForwardsOnlyWhereThereIsAServer(t *testing.T) {
	s := defaults(t)
	with, without := corefile(s, "search x\nnameserver 192.0.2.1\n"), corefile(s, "# nameserver 192.0.2.1\n")
	if !strings.Contains(with, "\n    forward . ") || strings.Contains(without, "forward") {
		t.Errorf("with a server:\n%s\nwithout:\n%s", with, without)
	}
	if !strings.Contains(without, "kubernetes cluster.local 10.202.0.0/24 {") {
		t.Errorf("does not serve the cluster:\n%s", without)
	}
}

func TestComponentsListenOnThisMachineAlone(t *testing.T) {
	s := defaults(t)
	if got := kubeletConfig(s)["address"]; got != "10.201.0.1" {
		t.Errorf("the kubelet listens on %v", got)
	}
	b, err := json.Marshal(proxyConfig(s)["nodePortAddresses"])
	if err != nil || string(b) != `["127.0.0.0/8","10.201.0.0/24"]` {
		t.Errorf("NodePorts are on %s, %v", b, err)
	}
	for _, p := range []program{controllerManager(s, ""), scheduler(s, "")} {
		if !strings.Contains(strings.Join(p.args, " "), "--bind-address=127.0.0.1 ") {
			t.Errorf("%s listens on more than 127.0.0.1: %q", p.name, p.args)
		}
	}
	if !strings.Contains(firewallRules(s), "! -i lo -p tcp -m tcp --dport 16443 -j REJECT\n") {
		t.Errorf("the API server is open:\n%s", firewallRules(s))
	}
}

// Everything that up starts, start can start again.
func TestProgramsAreTheComponents(t *testing.T) {
	var names []string
	for _, p := range programs(defaults(t), folders{"/kubernetes", "/coredns", "/networkpolicies"}) {
		names = append(names, p.name)
	}
	if !slices.Equal(names, components) {
		t.Errorf("programs are %q, components %q", names, components)
	}
}

func TestCutRules(t *testing.T) {
	pod := netip.MustParseAddrPort("10.201.0.7:2222")
	const rules = `-A SFTPOP-CUT -s 10.201.0.7/32 -d 0.0.0.0/0 -p tcp -m tcp --sport 2222 -j DROP
-A SFTPOP-CUT -s 0.0.0.0/0 -d 10.201.0.7/32 -p tcp -m tcp --dport 2222 -j DROP
COMMIT
`
	everybody, operator := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.201.0.9/32")
	if got := cutRules(pod, everybody, false); got != "*mangle\n:SFTPOP-CUT - [0:0]\n-I PREROUTING -j SFTPOP-CUT\n-I POSTROUTING -j SFTPOP-CUT\n"+rules {
		t.Errorf("the first:\n%s", got)
	}
	if got := cutRules(pod, operator, true); got != "*mangle\n"+strings.ReplaceAll(rules, "0.0.0.0/0", "10.201.0.9/32") {
		t.Errorf("a second one:\n%s", got)
	}
}

func TestFits(t *testing.T) {
	s := defaults(t)
	st := state{Settings: s, Folders: folders{"/root/.cache/kubernetes-v1.37.1", "/root/.cache/coredns-v1.15.0", "/root/.cache/networkpolicies-v0.8.0"}}
	s.Cache = "/home/dev/cache"
	if !st.fits(s, folders{"/home/kubernetes-v1.37.1", "/home/coredns-v1.15.0", "/home/networkpolicies-v0.8.0"}) {
		t.Error("a cluster with a different cache folder does not fit")
	}
	for _, other := range []folders{
		{"/home/kubernetes-v1.38.0", "/home/coredns-v1.15.0", "/home/networkpolicies-v0.8.0"},
		{"/home/kubernetes-v1.37.1", "/home/coredns-v1.16.0", "/home/networkpolicies-v0.8.0"},
		{"/home/kubernetes-v1.37.1", "/home/coredns-v1.15.0", "/home/networkpolicies-v0.9.0"},
	} {
		if st.fits(s, other) {
			t.Errorf("other versions fit: %v", other)
		}
	}
	s.Port++
	if st.fits(s, st.Folders) {
		t.Error("a cluster with a different port fits")
	}
}
