package olm

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

const (
	annotations = `annotations:
  operators.operatorframework.io.bundle.mediatype.v1: registry+v1
  operators.operatorframework.io.bundle.manifests.v1: manifests/
  operators.operatorframework.io.bundle.metadata.v1: metadata/
  operators.operatorframework.io.bundle.package.v1: sftp-operator
  operators.operatorframework.io.bundle.channels.v1: alpha
  operators.operatorframework.io.bundle.channel.default.v1: alpha
  operators.operatorframework.io.test.config.v1: tests/scorecard/
  operators.operatorframework.io.test.mediatype.v1: scorecard+v1
`
	scorecard = `apiVersion: scorecard.operatorframework.io/v1alpha3
kind: Configuration
metadata:
  name: config
stages:
- parallel: true
  tests:
  - image: quay.io/operator-framework/scorecard-test:v1.42.0
    entrypoint: [scorecard-test, basic-check-spec]
    labels: {suite: basic, test: basic-check-spec-test}
  - image: quay.io/operator-framework/scorecard-test:v1.42.0
    entrypoint: [scorecard-test, olm-bundle-validation]
    labels: {suite: olm, test: olm-bundle-validation-test}
`
	dockerfile = `FROM scratch
LABEL operators.operatorframework.io.bundle.mediatype.v1=registry+v1
LABEL operators.operatorframework.io.bundle.manifests.v1=manifests/
LABEL operators.operatorframework.io.bundle.metadata.v1=metadata/
LABEL operators.operatorframework.io.bundle.package.v1=sftp-operator
LABEL operators.operatorframework.io.bundle.channels.v1=alpha
LABEL operators.operatorframework.io.bundle.channel.default.v1=alpha
COPY manifests /manifests/
COPY metadata /metadata/
COPY tests/scorecard /tests/scorecard/
`
	description = `SFTP endpoints and logins as Kubernetes objects.

An SFTPListener is an SFTP server with its Service, pods, host keys and volumes. An SFTPUser is a login on it, with keys, a
password or a second factor. Revoked access ends within about a second, along with the sessions that it opened.
`
)

var displayNames = map[string]struct{ title, description string }{
	"SFTPListener": {"SFTP listener", "One endpoint, with its Service, pods, host keys and volumes, and who may attach logins"},
	"SFTPUser":     {"SFTP user", "One login on one listener, with its keys, password and directories"},
	"SFTPKey":      {"SFTP key", "One SSH key and the Secret that holds it"},
}

// clusterServiceVersion returns the document that describes and installs one version of the operator.
func clusterServiceVersion(in Input, parts sorted, examples []manifest) ([]byte, error) {
	r := in.Release
	var samples []manifest
	for _, m := range examples {
		if _, ours := displayNames[m.kind()]; ours {
			samples = append(samples, m)
		}
	}
	encoded, err := json.MarshalIndent(samples, "", "  ")
	if err != nil {
		return nil, err
	}
	pod := object(object(object(parts.deployment["spec"])["template"])["spec"])
	image := text(object(list(pod["containers"])[0])["image"])
	return yaml.Marshal(manifest{
		"apiVersion": "operators.coreos.com/v1alpha1",
		"kind":       "ClusterServiceVersion",
		"metadata": manifest{
			"name":      identity.Name + "." + r.Version,
			"namespace": "placeholder",
			"annotations": manifest{
				"alm-examples":   string(encoded),
				"capabilities":   "Seamless Upgrades",
				"categories":     "Storage, Networking",
				"containerImage": image,
				"createdAt":      r.Time.Format("2006-01-02T15:04:05Z"),
				"description":    "SFTP endpoints and logins as Kubernetes objects",
				"repository":     identity.Source,
				"features.operators.openshift.io/disconnected":     "true",
				"features.operators.openshift.io/fips-compliant":   "false",
				"features.operators.openshift.io/proxy-aware":      "false",
				"features.operators.openshift.io/tls-profiles":     "false",
				"features.operators.openshift.io/token-auth-aws":   "false",
				"features.operators.openshift.io/token-auth-azure": "false",
				"features.operators.openshift.io/token-auth-gcp":   "false",
			},
			"labels": manifest{
				"operatorframework.io/arch.amd64": "supported",
				"operatorframework.io/arch.arm64": "supported",
				"operatorframework.io/os.linux":   "supported",
			},
		},
		"spec": manifest{
			"displayName":               "SFTP Operator",
			"description":               description,
			"version":                   r.Number(),
			"minKubeVersion":            "1.34.0",
			"maturity":                  "alpha",
			"keywords":                  []string{"sftp", "ssh", "file transfer"},
			"provider":                  manifest{"name": "sftp-operator maintainers", "url": identity.Source},
			"links":                     []manifest{{"name": "Documentation", "url": identity.Documentation}},
			"icon":                      []manifest{{"base64data": base64.StdEncoding.EncodeToString(in.Icon), "mediatype": "image/svg+xml"}},
			"installModes":              installModes(),
			"install":                   install(parts),
			"relatedImages":             []manifest{{"name": "manager", "image": image}},
			"customresourcedefinitions": manifest{"owned": owned(parts.crds)},
		},
	})
}

func installModes() (modes []manifest) {
	for _, mode := range []string{"OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"} {
		modes = append(modes, manifest{"type": mode, "supported": mode == "AllNamespaces"})
	}
	return modes
}

func install(parts sorted) manifest {
	metadata := object(parts.deployment["metadata"])
	spec := manifest{
		"deployments": []manifest{{"name": metadata["name"], "label": metadata["labels"], "spec": parts.deployment["spec"]}},
	}
	for name, rules := range map[string][]any{"clusterPermissions": parts.clusterRule, "permissions": parts.rules} {
		if len(rules) > 0 {
			spec[name] = []manifest{{"serviceAccountName": parts.account, "rules": rules}}
		}
	}
	return manifest{"strategy": "deployment", "spec": spec}
}

func owned(crds []manifest) (owned []manifest) {
	for _, crd := range crds {
		spec := object(crd["spec"])
		kind := text(object(spec["names"])["kind"])
		for _, version := range list(spec["versions"]) {
			owned = append(owned, manifest{
				"name": crd.name(), "kind": kind, "version": object(version)["name"],
				"displayName": displayNames[kind].title, "description": strings.TrimSpace(displayNames[kind].description),
			})
		}
	}
	return owned
}
