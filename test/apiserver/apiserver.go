// Package apiserver starts a real kube-apiserver with the operator's CRDs for tests. Only etcd and the API server run, so there
// is no kubelet, no controller and no garbage collector.
package apiserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// assetsVariable names the folder with etcd, kube-apiserver and kubectl, as envtest expects it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// Start starts the API server, after editing its settings. The caller must call Stop on the result.
func Start(edits ...func(*envtest.ControlPlane)) (*envtest.Environment, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	assets, err := assets(root)
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	// As on most clusters, a client that sets an owner that blocks deletion needs permission to do so.
	env.ControlPlane.GetAPIServer().Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	// There is no controller that would create the "default" ServiceAccounts.
	env.ControlPlane.GetAPIServer().Configure().Append("disable-admission-plugins", "ServiceAccount")
	for _, edit := range edits {
		edit(&env.ControlPlane)
	}
	if _, err := env.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the API server of %s: %w", assets, err), env.Stop())
	}
	return env, nil
}

// assets returns the folder with the programs. On a developer's machine they are built once if they are missing; in CI that
// would hide a broken setup.
func assets(root string) (string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		return dir, nil
	}
	if os.Getenv("CI") == "true" {
		return "", fmt.Errorf("%s is not set; run the tests with make test, or export it as `go run ./hack/cluster assets` prints it", assetsVariable)
	}
	cmd := exec.Command("go", "run", "./hack/cluster", "assets")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s is not set, and `go run ./hack/cluster assets` failed: %w", assetsVariable, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Root returns the top of the source tree.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
