package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStagingReplaces(t *testing.T) {
	const goMod = "module k8s.io/kubernetes\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/kms => ./staging/src/k8s.io/kms\n\tother => ../other\n)\n"
	got, err := stagingReplaces(goMod, "v1.37.1")
	if want := "replace (\n\tk8s.io/api => k8s.io/api v0.37.1\n\tk8s.io/kms => k8s.io/kms v0.37.1\n)\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, c := range [][2]string{{goMod, "1.37.1"}, {goMod, "v2.0.0"}, {"module x\n", "v1.37.1"}} {
		if _, err := stagingReplaces(c[0], c[1]); err == nil {
			t.Errorf("version %s of %q: no error", c[1], c[0])
		}
	}
}

// TestKubernetesModule catches a version that was raised without its staging modules.
func TestKubernetesModule(t *testing.T) {
	b, err := os.ReadFile("kubernetes/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version, err := requiredVersion(string(b), kubernetes.requires)
	if err != nil {
		t.Fatal(err)
	}
	staging := "v0." + strings.TrimPrefix(version, "v1.")
	replaced := 0
	for line := range strings.Lines(string(b)) {
		if module, to, ok := strings.Cut(strings.TrimSpace(line), " => "); ok {
			replaced++
			if to != module+" "+staging {
				t.Errorf("%s is replaced by %s, want version %s: run `go run ./hack/cluster staging %s`", module, to, staging, version)
			}
		}
	}
	if replaced < 20 {
		t.Errorf("%d modules are replaced, want all of Kubernetes' staging modules", replaced)
	}
}

// A name that a program does not support would be a link that only reports an error.
func TestNamesAreKnown(t *testing.T) {
	for _, b := range []build{controlPlane, node} {
		main, err := os.ReadFile(filepath.Join(b.folder, b.pkg, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range b.names {
			if !strings.Contains(string(main), `"`+name+`":`) && !strings.Contains(string(main), `case "`+name+`":`) {
				t.Errorf("%s/%s does not answer to %s", b.folder, b.pkg, name)
			}
		}
	}
}

func TestVersionFlags(t *testing.T) {
	got := versionFlags("v1.37.1")
	for _, want := range []string{"version.gitVersion=v1.37.1 ", "version.gitMajor=1 ", "version.gitMinor=37 "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q has no %q", got, want)
		}
	}
}

func TestRequiredVersion(t *testing.T) {
	for _, goMod := range []string{"require k8s.io/x v1.2.3\n", "require (\n\tk8s.io/x v1.2.3 // indirect\n)\n"} {
		if got, err := requiredVersion(goMod, "k8s.io/x"); err != nil || got != "v1.2.3" {
			t.Errorf("%q: %q, %v", goMod, got, err)
		}
	}
	if got, err := requiredVersion("require k8s.io/xy v1.2.3\n", "k8s.io/x"); err == nil {
		t.Errorf("found %s of another module", got)
	}
}
