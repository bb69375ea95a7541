package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// kubernetesPrograms maps the programs to the packages they are built from. etcd is built along: Debian's lacks the
// progress requests that the API server's watch cache needs for consistent reads and streamed lists.
var kubernetesPrograms = map[string]string{
	"etcd":                    "go.etcd.io/etcd/server/v3",
	"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
	"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
	"kube-proxy":              "k8s.io/kubernetes/cmd/kube-proxy",
	"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
	"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
	"kubelet":                 "k8s.io/kubernetes/cmd/kubelet",
}

// ensureKubernetes returns the folder that holds the programs, building them if it is not there: 6 to 8 minutes on two
// cores, once a machine and version.
func ensureKubernetes(ctx context.Context, s settings) (string, error) {
	root, err := sourceRoot(ctx)
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "hack", "cluster", "kubernetes")
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", err
	}
	version, err := kubernetesVersion(string(goMod))
	if err != nil {
		return "", err
	}
	bin := filepath.Join(s.Cache, "kubernetes-"+version)
	if complete(bin) {
		return bin, nil
	}

	unlock, err := lockFile(ctx, bin+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(bin) { // another run built it while this one waited
		return bin, nil
	}
	started := time.Now()
	say("building Kubernetes %s and etcd into %s: once a machine, some minutes", version, bin)
	if err := buildKubernetes(ctx, module, version, bin); err != nil {
		return "", err
	}
	say("built in %s", time.Since(started).Round(time.Second))
	return bin, nil
}

// buildKubernetes builds into a folder beside bin and renames it, so that bin is never half full.
func buildKubernetes(ctx context.Context, module, version, bin string) error {
	partial := bin + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return err
	}
	for program, pkg := range kubernetesPrograms {
		if err := goBuild(ctx, module, filepath.Join(partial, program), pkg, versionFlags(version)); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(bin), os.Rename(partial, bin))
}

// goBuild builds a static program. What was compiled before an interruption is in Go's build cache: the next try is quick.
func goBuild(ctx context.Context, dir, out, pkg, ldflags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", ldflags, "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS=", "GOARCH=")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build %s in %s: %w", pkg, dir, err)
	}
	return nil
}

// versionFlags are the linker flags without which clients see v0.0.0.
func versionFlags(version string) string {
	flags := []string{"-s", "-w"}
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+pkg+".gitVersion="+version,
			"-X "+pkg+".gitMajor="+parts[0],
			"-X "+pkg+".gitMinor="+parts[1],
			"-X "+pkg+".gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^(?:require)?\s*k8s\.io/kubernetes (v1\.\d+\.\d+\S*)`)

func kubernetesVersion(goMod string) (string, error) {
	m := kubernetesRequirement.FindStringSubmatch(goMod)
	if m == nil {
		return "", errors.New("hack/cluster/kubernetes/go.mod requires no k8s.io/kubernetes")
	}
	return m[1], nil
}

func complete(bin string) bool {
	for program := range kubernetesPrograms {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return false
		}
	}
	return true
}

// sourceRoot returns the top of the source tree that the command is run in.
func sourceRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w (is Go in PATH?)", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if _, err := os.Stat(filepath.Join(root, "hack", "cluster", "kubernetes", "go.mod")); err != nil {
		return "", errors.New("run this inside the sftp-operator source tree: hack/cluster/kubernetes/go.mod is not there")
	}
	return root, nil
}
