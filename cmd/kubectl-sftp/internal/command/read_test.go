package command

import (
	"encoding/json"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/inventory"
)

// The output of the read-only commands for a namespace with working and broken objects.
func TestLooking(t *testing.T) {
	ns := namespace(t, "files")
	manifests(t, ns, "partners.yaml")
	for _, tc := range []struct {
		golden string
		code   int
		args   string
	}{
		{"known-hosts.txt", 0, "known-hosts partners -n files"},
		{"known-hosts-all.txt", exitFailed, "known-hosts -n files"},
		{"known-hosts.json", 0, "known-hosts partners -n files -o json"},
		{"known-hosts-unknown.txt", exitFailed, "known-hosts nothing -n files"},
		{"status.txt", exitFailed, "status -n files"},
		{"status-listener.txt", 0, "status partners -n files"},
		{"status-listener-pending.txt", exitFailed, "status staging -n files"},
		{"status-user.txt", 0, "status acme -n files"},
		{"status-user-refs.txt", exitFailed, "status globex -n files"},
		{"status-user-unseen.txt", exitFailed, "status initech -n files"},
		{"status-user.json", 0, "status acme -n files -o json"},
		{"status-nothing.txt", exitFailed, "status nothing -n files"},
		{"status-empty.txt", 0, "status -n default"},
		{"keys.txt", 0, "keys -n files"},
		{"keys-everywhere.txt", 0, "keys -A -o wide"},
		{"keys-one.yaml", 0, "keys globex -n files -o yaml"},
		{"keys-expiring.txt", 0, "keys -n files --expiring 30d"},
		{"keys-not-expiring.txt", 0, "keys -n files --expiring 10d"},
		{"keys-unused.txt", 0, "keys -n files --unused 90d"},
		{"keys-shared.txt", 0, "keys -n files --shared"},
		{"usage-format.txt", exitUsage, "keys -n files -o xml"},
		{"usage-flag.txt", exitUsage, "keys --no-such-flag"},
		{"usage-arguments.txt", exitUsage, "known-hosts a b"},
		{"usage-command.txt", exitUsage, "nothing"},
		{"usage-days.txt", exitUsage, "keys --expiring soon"},
	} {
		t.Run(tc.golden, func(t *testing.T) { plug(t, strings.Fields(tc.args)...).want(t, tc.code, tc.golden) })
	}

	// An account that may read only users and listeners of the namespace.
	viewer := account(t, ns, "viewer", reads("sftpusers", "sftplisteners"))
	t.Run("viewer/keys", func(t *testing.T) {
		plugInput(t, viewer, "", "keys", "-n", ns, "-o", "wide").want(t, 0, "keys-viewer.txt")
	})
	t.Run("viewer/status", func(t *testing.T) {
		plugInput(t, viewer, "", "status", "partners", "-n", ns).want(t, 0, "status-viewer.txt")
	})
	t.Run("viewer/elsewhere", func(t *testing.T) {
		r := plugInput(t, viewer, "", "status", "-A")
		if r.code != exitFailed || !strings.Contains(r.err, "forbidden") {
			t.Errorf("%+v, want a refusal", r)
		}
	})

	t.Run("completion", func(t *testing.T) {
		for line, want := range map[string]string{
			"known-hosts|":  "partners staging :4",
			"known-hosts|s": "staging :4",
			"status|":       "partners staging acme globex initech :4",
			"keys|g":        "globex :4",
			"keys|-o|":      "wide json yaml :4",
		} {
			args := append([]string{"__complete", "-n", ns, "--kubeconfig", administrator}, strings.Split(line, "|")...)
			// The kubeconfig comes before the argument being completed, and not at the end as elsewhere.
			r := completeLine(t, args)
			if got := strings.Join(strings.Fields(r), " "); got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
	})
}

// The machine-readable output has everything that people get.
func TestKeysAsJSON(t *testing.T) {
	ns := namespace(t, "keys-json")
	manifests(t, ns, "partners.yaml")
	r := plug(t, "keys", "-n", ns, "-o", "json")
	var keys []inventory.Key
	if err := json.Unmarshal([]byte(r.out), &keys); err != nil {
		t.Fatalf("%v: %s", err, r.out)
	}
	const all = 5
	if len(keys) != all || keys[2].Bits != 2048 || keys[2].Origin != "secret/acme-keys" || keys[0].LastUsedDate != "2026-11-24" {
		t.Errorf("%+v", keys)
	}
}

// Without any permissions there is an error that says so, and no crash.
func TestNoRights(t *testing.T) {
	ns := namespace(t, "no-rights")
	nobody := account(t, ns, "nobody", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}})
	for _, line := range []string{"status", "keys", "known-hosts"} {
		r := plugInput(t, nobody, "", line, "-n", ns)
		if r.code != exitFailed || !strings.Contains(r.err, "forbidden") || r.out != "" {
			t.Errorf("%s: %+v", line, r)
		}
	}
}
