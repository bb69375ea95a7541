package snapshot_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// oneUser is a directory whose one user writes to two volumes.
func oneUser(t *testing.T, drop string) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "drop", Path: drop})
	u := withPassword(dir, "ada")
	u.Mounts = append(u.Mounts, config.Mount{Path: "/drop", Volume: "drop", Access: config.ReadWrite})
	return dir
}

func TestWritten(t *testing.T) {
	dir := configtest.New(t)
	data, drop, archive := dir.Volume(), t.TempDir(), t.TempDir()
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "drop", Path: drop}, config.Volume{Name: "archive", Path: archive})
	for i := range 40 {
		u := withPassword(dir, fmt.Sprintf("user%02d", i))
		u.Mounts = append(u.Mounts,
			config.Mount{Path: "/drop", Volume: "drop", SubPath: "shared", Access: config.WriteOnly},
			config.Mount{Path: "/archive", Volume: "archive", Access: config.ReadOnly})
	}
	if s, err := build(t, oneUser(t, drop)); err != nil || len(s.Written()) != 2 {
		t.Errorf("one user's %v, %v, want two volumes", s.Written(), err)
	}
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Written()
	if len(got) != 2 || !slices.Equal(got[drop], []string{"shared"}) {
		t.Errorf("written %v, want %s and %s", got, data, drop)
	}
	// The first ones, whatever the order of the users.
	if len(got[data]) != 16 || !slices.IsSorted(got[data]) || got[data][0] != "user00" || got[data][15] != "user15" {
		t.Errorf("directories %v", got[data])
	}
}
