package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pullWithHelm: each Helm program in HELM (separated by colons) pulls and renders the chart from the registry by digest, and
// gets the file of the release.
func pullWithHelm(t *testing.T, p *published) {
	t.Helper()
	programs := filepath.SplitList(os.Getenv("HELM"))
	if len(programs) == 0 {
		t.Fatal("HELM names no program")
	}
	packed, err := filepath.Glob(filepath.Join(p.dist, "sftp-operator-*.tgz"))
	if err != nil || len(packed) != 1 {
		t.Fatalf("the release has the charts %v (%v)", packed, err)
	}
	want, err := os.ReadFile(packed[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		helm := func(arguments ...string) string {
			t.Helper()
			cmd := exec.Command(program, arguments...)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, out)
			}
			return string(out)
		}
		folder := t.TempDir()
		helm("pull", "oci://"+p.chart.String(), "--plain-http", "--destination", folder)
		pulled, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
		if err != nil || len(pulled) != 1 {
			t.Fatalf("%s pulled %v (%v)", program, pulled, err)
		}
		if got, err := os.ReadFile(pulled[0]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s pulled a different chart (%v)", program, err)
		}
		rendered := helm("template", "x", "oci://"+p.chart.String(), "--plain-http", "--kube-version", "1.34.0")
		if !strings.Contains(rendered, "image: \"ghcr.io/sftp-operator/sftp-operator@"+p.image.DigestStr()) {
			t.Errorf("%s: what the chart renders does not name the image %s", program, p.image.DigestStr())
		}
		t.Logf("%s: %s", helm("version", "--short"), p.chart)
	}
}
