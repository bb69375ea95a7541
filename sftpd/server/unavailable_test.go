package server_test

import (
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestDirectoriesUnavailable: a client whose directories cannot be opened is told why, without a path of the pod.
func TestDirectoriesUnavailable(t *testing.T) {
	t.Parallel()
	d, dir := start(t, nil)
	if err := os.RemoveAll(dir.Volume()); err != nil {
		t.Fatal(err)
	}
	c := d.MustDial(t, "ada", ssh.Password("secret"))
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	said, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("sftp"); err == nil {
		t.Error("the subsystem starts")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(said)
	if err != nil || !strings.Contains(string(text), "cannot open your directories") || strings.Contains(string(text), dir.Path) {
		t.Errorf("%q, %v", text, err)
	}
}
