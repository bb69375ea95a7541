package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// On a full volume an upload fails, and existing files stay and can be read and removed; once there is room,
// uploads work again at once.
func TestFaultDiskFull(t *testing.T) {
	const sizeMiB = 40
	ns := newNamespace(t, "full", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Volumes = []v1alpha1.ListenerVolume{{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{
			Storage: resource.MustParse(fmt.Sprintf("%dMi", sizeMiB)), StorageClassName: "local-memory",
		}}}
		s.Uploads.Publish = v1alpha1.PublishOnClose
	})
	k := newKey(t)
	f := &fault{ns: ns, listener: l, key: k, user: newUser(t, l, ns, "acme", keyAuth(k)), source: randomFile(t, faultMiB)}
	s := f.login(t)
	put := func(name string, mib int64) error {
		out, err := s.Create(name)
		must(t, err)
		_, err = io.CopyN(out, rand.Reader, mib<<20)
		if closing := out.Close(); err == nil {
			err = closing
		}
		return err
	}
	must(t, put("old", 8))
	before := s.sha256(t, "old")
	must(t, put("ballast", 24))

	// It replaces a file, and there is no room.
	full := put("old", 16)
	if full == nil {
		t.Fatal("an upload to a full volume ended without an error")
	}
	if got := s.sha256(t, "old"); got != before {
		t.Error("the file that was to be replaced is damaged")
	}
	if again := f.login(t); !again.alive() {
		t.Error("no one can log in")
	}
	must(t, s.Remove("ballast"))
	s.roundTrip(t, "new", 8<<20)
	fmt.Printf("FAULT volume full: the upload ends with %q, and the file that it was to replace stays; reading, logging in and removing files work, and after that uploads work at once\n", full)
}
