package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

var stagingLine = regexp.MustCompile(`(?m)^\s*(k8s\.io/\S+) => \./staging/`)

// stagingReplaces returns the replace block that a module needs to build Kubernetes: its own go.mod maps the staging
// modules to folders, and a dependency's replace directives do not count.
func stagingReplaces(kubernetesGoMod, version string) (string, error) {
	staging, ok := strings.CutPrefix(version, "v1.")
	if !ok {
		return "", fmt.Errorf("version %q: want v1.MINOR.PATCH", version)
	}
	matches := stagingLine.FindAllStringSubmatch(kubernetesGoMod, -1)
	if len(matches) == 0 {
		return "", fmt.Errorf("the go.mod of Kubernetes %s maps no module to ./staging", version)
	}
	var b strings.Builder
	b.WriteString("replace (\n")
	for _, m := range matches {
		fmt.Fprintf(&b, "\t%s => %s v0.%s\n", m[1], m[1], staging)
	}
	b.WriteString(")\n")
	return b.String(), nil
}

func printStaging(ctx context.Context, version string) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "k8s.io/kubernetes@"+version)
	cmd.Dir = os.TempDir() // outside any module, so that none is changed
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("download Kubernetes %s: %w\n%s", version, err, bytes.TrimSpace(out))
	}
	var module struct{ GoMod string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	goMod, err := os.ReadFile(module.GoMod)
	if err != nil {
		return err
	}
	block, err := stagingReplaces(string(goMod), version)
	if err == nil {
		fmt.Print(block)
	}
	return err
}
