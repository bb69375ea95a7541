package main

import (
	"strings"
	"testing"
)

// The rules must match packets between pods, from pods to the node and from elsewhere to pods, and none that the node itself
// sends.
func TestPolicyRules(t *testing.T) {
	rules := policyRules()
	for _, want := range []string{
		"*mangle\n:SFTPOP-POLICY - [0:0]\n",
		"-A SFTPOP-POLICY -m conntrack ! --ctstate RELATED,ESTABLISHED -j NFQUEUE --queue-num 16443\n",
		"-A INPUT -i sftpop0 -j SFTPOP-POLICY\n",
		"-A FORWARD -i sftpop0 -j SFTPOP-POLICY\n",
		"-A FORWARD ! -i sftpop0 -o sftpop0 -j SFTPOP-POLICY\n",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("no %q in\n%s", want, rules)
		}
	}
	if strings.Contains(rules, "--queue-bypass") {
		t.Error("packets pass while nothing enforces the policies")
	}
}

func TestHasQueue(t *testing.T) {
	const list = "  100   2201     0 2   128     0     0        3  1\n16443  42     0 2   128     0     0        0  1\n"
	for number, want := range map[int]bool{100: true, 16443: true, 2201: false, 1: false} {
		if hasQueue(list, number) != want {
			t.Errorf("queue %d: %v", number, !want)
		}
	}
	if hasQueue("", 16443) {
		t.Error("a queue in an empty list")
	}
}

func TestSandboxPID(t *testing.T) {
	const tasks = "TASK    PID      STATUS    \nold     11       STOPPED\nyoung   12       RUNNING\nother   13       RUNNING\n"
	for sandboxes, want := range map[string]string{"old\nyoung\n": "12", "old\n": "", "": "", "gone\n": ""} {
		if got := sandboxPID(sandboxes, tasks); got != want {
			t.Errorf("%q: %q, want %q", sandboxes, got, want)
		}
	}
}
