package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func imageRepository() string { repo, _, _ := strings.Cut(image, ":"); return repo }

func imageTag() string { _, tag, _ := strings.Cut(image, ":"); return tag }

// dumpOnFailure prints objects, conditions, events and logs, to explain a failure.
func dumpOnFailure(t *testing.T, namespaces ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			dump(append(namespaces, operatorNamespace)...)
		}
	})
}

func dump(namespaces ...string) {
	for _, ns := range namespaces {
		for _, args := range [][]string{
			{"-n", ns, "get", "sftplisteners,sftpusers,sftpkeys", "-o", "yaml"},
			{"-n", ns, "get", "pods,services,pvc,deployments", "-o", "wide"},
			{"-n", ns, "describe", "pods"},
			{"-n", ns, "get", "events", "--sort-by=.lastTimestamp"},
			{"-n", ns, "logs", "-l", "app.kubernetes.io/name in (sftpd, sftp-operator)", "--tail=200", "--prefix"},
		} {
			out, _ := kubectl(args...) // a part that fails must not hide the others
			fmt.Fprintf(os.Stderr, "--- kubectl %s\n%s\n", strings.Join(args, " "), out)
		}
	}
}
