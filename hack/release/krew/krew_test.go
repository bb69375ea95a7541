package krew

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/hack/release/compile"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

func TestManifest(t *testing.T) {
	encoded, err := Manifest(identity.Release{Version: "v1.2.3"}, []Archive{
		{Platform: compile.Platform{OS: "windows", Architecture: "arm64"}, File: "kubectl-sftp.zip", SHA256: "12", Binary: "kubectl-sftp.exe"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			Version   string
			Platforms []struct {
				Selector struct{ MatchLabels map[string]string }
				URI      string
				SHA256   string
				Bin      string
			}
		}
	}
	if err := yaml.Unmarshal(encoded, &m); err != nil {
		t.Fatal(err)
	}
	p := m.Spec.Platforms[0]
	if m.Metadata.Name != "sftp" || m.Spec.Version != "v1.2.3" || p.Selector.MatchLabels["os"] != "windows" || p.SHA256 != "12" ||
		p.URI != identity.Source+"/releases/download/v1.2.3/kubectl-sftp.zip" || p.Bin != "kubectl-sftp.exe" {
		t.Errorf("%s", encoded)
	}
}
