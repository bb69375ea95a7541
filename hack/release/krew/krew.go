// Package krew writes the manifest with which Krew installs the kubectl plug-in.
package krew

import (
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/compile"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

// Archive is the plug-in for one platform.
type Archive struct {
	Platform compile.Platform
	File     string // name in the release
	SHA256   string
	Binary   string // name in the archive
}

type object map[string]any

// Manifest returns the manifest of the plug-in "sftp".
func Manifest(r identity.Release, archives []Archive) ([]byte, error) {
	platforms := make([]object, 0, len(archives))
	for _, a := range archives {
		platforms = append(platforms, object{
			"selector": object{"matchLabels": object{"os": a.Platform.OS, "arch": a.Platform.Architecture}},
			"uri":      r.Download(a.File),
			"sha256":   a.SHA256,
			"bin":      a.Binary,
		})
	}
	return yaml.Marshal(object{
		"apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
		"kind":       "Plugin",
		"metadata":   object{"name": "sftp"},
		"spec": object{
			"version":          r.Version,
			"homepage":         identity.Source + "/blob/main/docs/kubectl-sftp.md",
			"shortDescription": "Check and explain SFTP endpoints and logins",
			"description": "Shows the SFTPListeners and SFTPUsers of sftp-operator, explains why a login is allowed or denied,\n" +
				"tests it as a client would, and provides keys, passwords and host keys.\n",
			"platforms": platforms,
		},
	})
}
