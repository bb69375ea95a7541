package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
	"github.com/sftp-operator/sftp-operator/hack/release/licenses"
)

// TestDocument reads the bill of this test's own binary.
func TestDocument(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := identity.Release{Version: "v1.2.3", Time: time.Unix(1_700_000_000, 0).UTC()}
	known := []licenses.License{{Module: "std", IDs: []string{"BSD-3-Clause"}}, {Module: "sigs.k8s.io/yaml", IDs: []string{"Apache-2.0", "MIT"}}}
	encoded, err := Document(r, "image", []string{binary, binary}, known)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(encoded, &d); err != nil {
		t.Fatal(err)
	}
	if d.Metadata.Component.Type != "container" || len(d.Metadata.Component.Parts) != 2 || !strings.HasPrefix(d.Serial, "urn:uuid:") {
		t.Errorf("%s", encoded)
	}
	var found bool
	for _, c := range d.Components {
		if c.Name == "std" {
			found = len(c.Licenses) == 1 && c.Licenses[0].License.ID == "BSD-3-Clause" && c.Version != ""
		}
	}
	if !found {
		t.Errorf("the standard library, with its license, is not listed: %s", encoded)
	}
	again, err := Document(r, "image", []string{binary, binary}, known)
	if err != nil || !bytes.Equal(encoded, again) {
		t.Errorf("written twice, the bytes differ (%v)", err)
	}
}

func TestDocumentRefuses(t *testing.T) {
	file := t.TempDir() + "/text"
	if err := os.WriteFile(file, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Document(identity.Release{}, "x", []string{file}, nil); err == nil {
		t.Error("a file that is not a program: no error")
	}
}
