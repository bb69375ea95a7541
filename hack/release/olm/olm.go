// Package olm writes the bundle with which the Operator Lifecycle Manager installs the operator: a ClusterServiceVersion
// generated from the manifests in config/, and those that accompany it.
package olm

import (
	"bytes"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/archive"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

// Input is what a bundle is made from.
type Input struct {
	Release  identity.Release
	Install  []byte // all manifests of config/default, with the image by digest
	Examples []byte // manifests of the three kinds
	Icon     []byte // SVG
}

// manifest is a Kubernetes object as it was read.
type manifest map[string]any

func (m manifest) kind() string { return text(m["kind"]) }

func (m manifest) name() string { return text(object(m["metadata"])["name"]) }

func text(value any) string { s, _ := value.(string); return s }

func object(value any) map[string]any {
	switch o := value.(type) {
	case manifest:
		return o
	case map[string]any:
		return o
	}
	return nil
}

func list(value any) []any { l, _ := value.([]any); return l }

// Bundle returns the files of the bundle.
func Bundle(in Input) ([]archive.File, error) {
	all, err := parse(in.Install)
	if err != nil {
		return nil, err
	}
	examples, err := parse(in.Examples)
	if err != nil {
		return nil, err
	}
	parts, err := sortOut(all)
	if err != nil {
		return nil, err
	}
	csv, err := clusterServiceVersion(in, parts, examples)
	if err != nil {
		return nil, err
	}
	if err := conforms(csv); err != nil {
		return nil, err
	}
	files := []archive.File{
		{Name: "manifests/" + identity.Name + ".clusterserviceversion.yaml", Data: csv},
		{Name: "metadata/annotations.yaml", Data: []byte(annotations)},
		{Name: "tests/scorecard/config.yaml", Data: []byte(scorecard)},
		{Name: "bundle.Dockerfile", Data: []byte(dockerfile)},
	}
	for _, m := range append(parts.crds, parts.others...) {
		if m.kind() != "CustomResourceDefinition" {
			delete(object(m["metadata"]), "namespace")
		}
		encoded, err := yaml.Marshal(m)
		if err != nil {
			return nil, err
		}
		files = append(files, archive.File{Name: "manifests/" + m.name() + "_" + strings.ToLower(m.kind()) + ".yaml", Data: encoded})
	}
	for i := range files {
		files[i].Mode = 0o644
	}
	return files, nil
}

func parse(documents []byte) (manifests []manifest, err error) {
	for document := range bytes.SplitSeq(documents, []byte("\n---\n")) {
		var m manifest
		if err := yaml.Unmarshal(document, &m); err != nil {
			return nil, fmt.Errorf("manifests: %w", err)
		}
		if len(m) > 0 {
			manifests = append(manifests, m)
		}
	}
	return manifests, nil
}

// sorted holds the manifests by how the bundle uses them.
type sorted struct {
	deployment  manifest
	clusterRule []any
	rules       []any
	account     string
	crds        []manifest
	others      []manifest
}

// sortOut separates what the lifecycle manager creates itself (the account, its bindings, the Deployment) from what it uses
// unchanged.
func sortOut(all []manifest) (parts sorted, err error) {
	roles := map[string]manifest{}
	var bindings []manifest
	for _, m := range all {
		switch m.kind() {
		case "Deployment":
			parts.deployment = m
		case "CustomResourceDefinition":
			parts.crds = append(parts.crds, m)
		case "Role", "ClusterRole":
			roles[m.kind()+"/"+m.name()] = m
		case "RoleBinding", "ClusterRoleBinding":
			bindings = append(bindings, m)
		case "ServiceAccount":
			parts.account = m.name()
		case "Namespace":
		case "Service":
			parts.others = append(parts.others, m)
		default:
			return parts, fmt.Errorf("%s %s: the bundle cannot contain this kind", m.kind(), m.name())
		}
	}
	for _, b := range bindings {
		reference := object(b["roleRef"])
		key := text(reference["kind"]) + "/" + text(reference["name"])
		role, found := roles[key]
		if !found {
			return parts, fmt.Errorf("%s %s: there is no %s", b.kind(), b.name(), key)
		}
		delete(roles, key)
		if b.kind() == "RoleBinding" {
			parts.rules = append(parts.rules, list(role["rules"])...)
		} else {
			parts.clusterRule = append(parts.clusterRule, list(role["rules"])...)
		}
	}
	for _, m := range all { // in their order, for equal bytes
		if role, left := roles[m.kind()+"/"+m.name()]; left {
			parts.others = append(parts.others, role)
		}
	}
	if parts.deployment == nil || parts.account == "" || len(parts.crds) == 0 {
		return parts, fmt.Errorf("%d manifests lack the Deployment, its account or the CRDs", len(all))
	}
	return parts, nil
}
