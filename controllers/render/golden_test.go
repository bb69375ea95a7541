package render

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// go test ./controllers/render -update writes what is rendered now. A change to deployment.yaml restarts every endpoint on the
// next upgrade of the operator: review the difference.
var update = flag.Bool("update", false, "write the golden files")

var inputs = []string{"minimal", "full"}

func readListener(t *testing.T, name string) *v1alpha1.SFTPListener {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "in", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	l := &v1alpha1.SFTPListener{}
	if err := yaml.UnmarshalStrict(data, l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestGolden(t *testing.T) {
	for _, name := range inputs {
		l := readListener(t, name)
		trust, _ := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), noFiles, nil)
		out := map[string]any{
			"deployment.yaml":          Deployment(l, "ghcr.io/sftp-operator/sftp-operator:v1", name == "minimal"),
			"service.yaml":             Service(l),
			"serviceaccount.yaml":      ServiceAccount(l),
			"networkpolicy.yaml":       NetworkPolicy(l, "sftp-system"),
			"poddisruptionbudget.yaml": PodDisruptionBudget(l),
			"claim.yaml":               Claim(l, l.Spec.Volumes[0]),
			"hostkey.yaml":             HostKey(l),
			"knownhosts.yaml":          KnownHostsMap(l, []string{"a ssh-ed25519 AAAA", "b ssh-ed25519 AAAA"}, nil),
			"secret.yaml":              Secret(l, ConfigSecretName(l), map[string][]byte{"a": []byte("b")}),
			"settings.yaml":            Settings(l, trust, PodVolumePath),
		}
		for file, object := range out {
			t.Run(name+"/"+file, func(t *testing.T) {
				golden(t, filepath.Join("testdata", "out", name, file), object)
				if o, ok := object.(client.Object); ok && o.GetObjectKind().GroupVersionKind().Kind == "" {
					t.Error("it has no kind, so it cannot be applied")
				}
			})
		}
	}
}

func golden(t *testing.T, path string, object any) {
	t.Helper()
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if that is wanted: go test ./controllers/render -update\ngot\n%s\nwant\n%s", path, got, want)
	}
}

// The evaluator is the API server's, so a namespace that enforces the standard "restricted" admits these pods.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, name := range inputs {
		pod := Deployment(readListener(t, name), "image", false).Spec.Template
		for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		// The check above must be able to fail.
		pod.Spec.HostNetwork = true
		refused := false
		for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			refused = refused || !result.Allowed
		}
		if !refused {
			t.Error("the evaluator allows hostNetwork")
		}
	}
}

// Settings that Pod Security does not require.
func TestPodsHaveNoToken(t *testing.T) {
	for _, name := range inputs {
		spec := Deployment(readListener(t, name), "image", false).Spec.Template.Spec
		c := spec.Containers[0]
		switch {
		case spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken:
			t.Error("the pod gets a token of the Kubernetes API")
		case spec.EnableServiceLinks == nil || *spec.EnableServiceLinks:
			t.Error("the pod gets the addresses of all Services")
		case c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem:
			t.Error("the root file system can be written")
		case len(spec.Containers) != 1 || len(spec.InitContainers) != 0:
			t.Error("more than the daemon runs")
		}
		for _, m := range c.VolumeMounts {
			if m.SubPath != "" || m.SubPathExpr != "" {
				t.Errorf("mount %s has a subPath, which the kubelet never updates", m.MountPath)
			}
		}
	}
}

// Everything that the configuration consists of is optional and small enough, and the number of parts depends only on maxUsers.
func TestConfigVolume(t *testing.T) {
	spec := Deployment(readListener(t, "full"), "image", false).Spec.Template.Spec
	sources := spec.Volumes[0].Projected.Sources
	if len(sources) != 1+4 { // 2000 users
		t.Errorf("%d Secrets, want that of the settings and 4 shards", len(sources))
	}
	for _, s := range sources {
		if s.Secret == nil || s.Secret.Optional == nil || !*s.Secret.Optional {
			t.Errorf("source %+v is not an optional Secret", s)
		}
	}
	if m := spec.Containers[0].VolumeMounts[0]; m.Name != spec.Volumes[0].Name || m.MountPath != ConfigDir || !m.ReadOnly {
		t.Errorf("mount %+v, want it read-only at %s", m, ConfigDir)
	}
}
