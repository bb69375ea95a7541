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

// source is a module below hack/cluster that programs of the cluster are built from.
type source struct {
	folder   string            // in hack/cluster, and the name of the folder in the cache
	requires string            // the module whose version is the version of the programs
	programs map[string]string // to the packages they are built from
	ldflags  func(version string) string
}

// etcd is built along with Kubernetes, in the version of its client: Debian's lacks the progress requests that the API
// server's watch cache needs for consistent reads and streamed lists.
var kubernetes = source{
	folder:   "kubernetes",
	requires: "k8s.io/kubernetes",
	programs: map[string]string{
		"etcd":                    "go.etcd.io/etcd/server/v3",
		"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
		"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
		"kube-proxy":              "k8s.io/kubernetes/cmd/kube-proxy",
		"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
		"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
		"kubelet":                 "k8s.io/kubernetes/cmd/kubelet",
	},
	ldflags: versionFlags,
}

var coredns = source{
	folder:   "coredns",
	requires: "github.com/coredns/coredns",
	programs: map[string]string{"coredns": "."},
	ldflags:  func(string) string { return "-s -w" },
}

var networkPolicies = source{
	folder:   "networkpolicies",
	requires: "sigs.k8s.io/kube-network-policies",
	programs: map[string]string{policyProgram: "."},
	ldflags:  func(string) string { return "-s -w" },
}

// bin returns the folder for a source's programs: of the user, keyed by version, whether it is filled or not.
func (src source) bin(s settings) (bin, version string, err error) {
	root, err := sourceRoot()
	if err != nil {
		return "", "", err
	}
	goMod, err := os.ReadFile(filepath.Join(root, "hack", "cluster", src.folder, "go.mod"))
	if err != nil {
		return "", "", err
	}
	if version, err = requiredVersion(string(goMod), src.requires); err != nil {
		return "", "", fmt.Errorf("hack/cluster/%s/go.mod: %w", src.folder, err)
	}
	return filepath.Join(s.Cache, src.folder+"-"+version), version, nil
}

// ensure builds a source's programs if they are not in the cache, and returns their folder. Kubernetes takes 6 to 8
// minutes on two cores, CoreDNS one, the NetworkPolicies' one; once a machine and version.
func (src source) ensure(ctx context.Context, s settings) (bin string, err error) {
	bin, version, err := src.bin(s)
	if err != nil || src.complete(bin) {
		return bin, err
	}
	unlock, err := lockFile(ctx, bin+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if src.complete(bin) { // another run built it while this one waited
		return bin, nil
	}
	started := time.Now()
	say("building %s %s into %s: once a machine, some minutes", src.folder, version, bin)
	if err := src.build(ctx, version, bin); err != nil {
		return "", err
	}
	say("built in %s", time.Since(started).Round(time.Second))
	return bin, nil
}

// buildAll builds all that up needs.
func buildAll(ctx context.Context, s settings) error {
	for _, src := range []source{kubernetes, coredns, networkPolicies} {
		if _, err := src.ensure(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// build builds into a folder beside bin and renames it, so that bin is never half full.
func (src source) build(ctx context.Context, version, bin string) error {
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	partial := bin + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return err
	}
	for program, pkg := range src.programs {
		module := filepath.Join(root, "hack", "cluster", src.folder)
		if err := goBuild(ctx, module, filepath.Join(partial, program), pkg, src.ldflags(version)); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(bin), os.Rename(partial, bin))
}

func (src source) complete(bin string) bool {
	for program := range src.programs {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return false
		}
	}
	return true
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

// versionFlags are the linker flags without which Kubernetes says that it is v0.0.0.
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

// requiredVersion returns the version of a module that a go.mod requires.
func requiredVersion(goMod, module string) (string, error) {
	line := regexp.MustCompile(`(?m)^(?:require)?\s*` + regexp.QuoteMeta(module) + ` (v\d+\.\d+\.\d+\S*)`)
	m := line.FindStringSubmatch(goMod)
	if m == nil {
		return "", errors.New("does not require " + module)
	}
	return m[1], nil
}

// sourceRoot returns the top of the source tree that the command is run in.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "hack", "cluster", "kubernetes", "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run this inside the sftp-operator source tree: no folder above has hack/cluster/kubernetes/go.mod")
		}
		dir = filepath.Dir(dir)
	}
}
