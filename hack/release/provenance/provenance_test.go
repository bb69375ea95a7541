package provenance

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/release/identity"
)

func TestStatement(t *testing.T) {
	r := identity.Release{Version: "v1.2.3", Commit: "0123456789abcdef0123456789abcdef01234567", Time: time.Unix(1_700_000_000, 0).UTC()}
	subjects := []Subject{SHA256("install.yaml", "12"), SHA256("image", "sha256:34")}
	encoded, err := Statement(r, "go1.26.5", subjects)
	if err != nil {
		t.Fatal(err)
	}
	var s statement
	if err := json.Unmarshal(encoded, &s); err != nil {
		t.Fatal(err)
	}
	if s.Subjects[1].Digest["sha256"] != "34" || s.PredicateType != PredicateType {
		t.Errorf("%s", encoded)
	}
	d := s.Predicate.BuildDefinition
	if d.Dependencies[0].Digest["gitCommit"] != r.Commit || d.Dependencies[1].URI != "pkg:golang/toolchain@1.26.5" || d.External["version"] != "v1.2.3" {
		t.Errorf("%s", encoded)
	}
	if again, err := Statement(r, "go1.26.5", subjects); err != nil || !bytes.Equal(encoded, again) {
		t.Errorf("written twice, the bytes differ (%v)", err)
	}
	r.Dirty = true
	if dirty, err := Statement(r, "go1.26.5", subjects); err != nil || !bytes.Contains(dirty, []byte("uncommittedChanges")) {
		t.Errorf("a tree that differs from the commit: %s, %v", dirty, err)
	}
}
