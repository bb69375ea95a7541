package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// source is a module below hack/cluster from which programs of the cluster are built.
type source struct {
	folder   string // in hack/cluster, and the name of the folder in the cache
	requires string // the module whose version is the version of the programs
	ldflags  func(version string) string
}

// build is one program of a source. It has several names if it contains several programs that share most of their code: it is
// compiled and linked once, and acts according to the name under which it was started.
type build struct {
	source
	pkg   string
	names []string
}

var (
	kubernetes      = source{folder: "kubernetes", requires: "k8s.io/kubernetes", ldflags: versionFlags}
	coredns         = source{folder: "coredns", requires: "github.com/coredns/coredns", ldflags: smallest}
	networkPolicies = source{folder: "networkpolicies", requires: "sigs.k8s.io/kube-network-policies", ldflags: smallest}
)

// Programs that are needed at different times are built separately: the control plane for tests with only an API server, the
// node's programs for a cluster, and its add-ons for tests that need Service names and NetworkPolicies.
//
// etcd is built along with Kubernetes, in the version of its client: Debian's lacks the progress requests that the API
// server's watch cache needs for consistent reads and streamed lists.
var (
	controlPlane = build{kubernetes, "./controlplane", []string{"etcd", "kube-apiserver", "kubectl"}}
	node         = build{kubernetes, "./node", []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}}
	// oldest is the API server of the oldest supported Kubernetes. The cluster does not run it: tests use it to check that the
	// CRDs and their rules work there.
	oldest = build{
		source{folder: "kubernetes-oldest", requires: "k8s.io/kubernetes", ldflags: versionFlags},
		"k8s.io/kubernetes/cmd/kube-apiserver",
		[]string{"kube-apiserver"},
	}
	addOns = []build{{coredns, ".", []string{"coredns"}}, {networkPolicies, ".", []string{policyProgram}}}
)

// bin returns the user's folder for a source's programs, keyed by version, whether it is filled or not.
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

// ensure builds a program if it is not in the cache, and returns its folder.
func (b build) ensure(ctx context.Context, s settings) (bin string, err error) {
	bin, version, err := b.bin(s)
	if err != nil || b.complete(bin) {
		return bin, err
	}
	unlock, err := lockFile(ctx, bin+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if b.complete(bin) { // another run built it while this one waited
		return bin, nil
	}
	started := time.Now()
	say("building %s (%s) into %s: once per machine, for a few minutes", strings.Join(b.names, ", "), version, bin)
	if err := b.build(ctx, version, bin); err != nil {
		return "", err
	}
	say("built in %s", time.Since(started).Round(time.Second))
	return bin, nil
}

// buildAll builds everything that up needs.
func buildAll(ctx context.Context, s settings, parts parts) error {
	wanted := []build{controlPlane, node}
	if parts == everything {
		wanted = append(wanted, addOns...)
	}
	for _, b := range wanted {
		if _, err := b.ensure(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// oldestAssets returns the folder for KUBEBUILDER_ASSETS with the oldest API server, and with the newest etcd and kubectl.
func oldestAssets(ctx context.Context, s settings) (string, error) {
	newest, err := controlPlane.ensure(ctx, s)
	if err != nil {
		return "", err
	}
	bin, err := oldest.ensure(ctx, s)
	if err != nil {
		return "", err
	}
	for _, program := range []string{"etcd", "kubectl"} {
		link := filepath.Join(bin, program)
		if err := errors.Join(os.RemoveAll(link), os.Symlink(filepath.Join(newest, program), link)); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// build builds under another name and links that to each of its names, so that none of them is ever incomplete. Links are hard,
// because the kernel shows a process under the name with which it was started.
func (b build) build(ctx context.Context, version, bin string) error {
	root, err := sourceRoot()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	partial := filepath.Join(bin, b.names[0]+".partial")
	defer os.Remove(partial)
	module := filepath.Join(root, "hack", "cluster", b.folder)
	if err := goBuild(ctx, root, b.names[0], module, partial, b.pkg, b.ldflags(version)); err != nil {
		return err
	}
	for _, name := range b.names {
		linked := filepath.Join(bin, name+".linked")
		if err := errors.Join(os.RemoveAll(linked), os.Link(partial, linked), os.Rename(linked, filepath.Join(bin, name))); err != nil {
			return err
		}
	}
	return nil
}

func (b build) complete(bin string) bool {
	return !slices.ContainsFunc(b.names, func(name string) bool {
		_, err := os.Stat(filepath.Join(bin, name))
		return err != nil
	})
}

// goBuild builds a static program. Packages that were compiled before an interruption are in Go's build cache, so the next try
// is quick.
func goBuild(ctx context.Context, root, what, module, out, pkg, ldflags string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "hack", "go-build.sh"), what, "-C", module, "-trimpath",
		"-gcflags", "all=-dwarf=false", // the linker leaves it out; the compiler needs an eighth of its time for it
		"-ldflags", ldflags, "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS=", "GOARCH=")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build %s in %s: %w", pkg, module, err)
	}
	return nil
}

func smallest(string) string { return "-s -w" }

// versionFlags returns the linker flags without which Kubernetes reports the version v0.0.0.
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
