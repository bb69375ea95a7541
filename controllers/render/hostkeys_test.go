package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The records equal those that OpenSSH produces for the same keys.
func TestSSHFP(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Fatalf("%v; hack/install-packages.sh installs it", err)
	}
	dir := t.TempDir()
	var keys []v1alpha1.HostKeyStatus
	var want []string
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa"}, {"-t", "ecdsa", "-b", "384"}, {"-t", "ecdsa", "-b", "521"}, {"-t", "rsa", "-b", "2048"}} {
		file := filepath.Join(dir, strings.Join(args, ""))
		if out, err := exec.CommandContext(t.Context(), keygen, append(args, "-q", "-N", "", "-f", file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		line, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, v1alpha1.HostKeyStatus{PublicKey: strings.TrimSpace(string(line)), State: v1alpha1.HostKeyActive})
		records, err := exec.CommandContext(t.Context(), keygen, "-r", "sftp.example.com", "-f", file+".pub").Output()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for record := range strings.Lines(string(records)) {
			data, ok := strings.CutPrefix(strings.TrimSpace(record), "sftp.example.com IN SSHFP ")
			if ok && strings.Fields(data)[1] == "2" {
				want, found = append(want, data), true
			}
		}
		if !found {
			t.Fatalf("ssh-keygen -r has no record with SHA-256:\n%s", records)
		}
	}
	if got := SSHFP(keys); !slices.Equal(got, want) {
		t.Errorf("records\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i, state := range []v1alpha1.HostKeyState{"", v1alpha1.HostKeyStaged, v1alpha1.HostKeyAdvertised, v1alpha1.HostKeyRetiring} {
		keys[i].State = state
	}
	if got := SSHFP(keys); !slices.Equal(got, slices.Delete(want, 1, 2)) {
		t.Errorf("records\n%s\nwant those of all keys but the Staged one", strings.Join(got, "\n"))
	}
}
