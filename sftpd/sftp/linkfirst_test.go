package sftp

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// TestLinkFirst: a link points where the client intended, whatever argument order the client uses for which server.
func TestLinkFirst(t *testing.T) {
	for _, tc := range []struct {
		client, server string
		linkFirst      bool
	}{
		{"SSH-2.0-phpseclib_3.0 (openssl)", "SSH-2.0-sftpd", true},
		{"SSH-2.0-libssh_0.10.6", "SSH-2.0-sftpd", true},
		{"SSH-2.0-AsyncSSH_2.14.0", "SSH-2.0-sftpd", true},
		{"SSH-2.0-ssh2js1.17.0", "SSH-2.0-sftpd", true},
		{"SSH-2.0-WinSCP_release_6.3", "SSH-2.0-sftpd", true},
		{"SSH-2.0-libssh2_1.11.0", "SSH-2.0-sftpd", false},
		{"SSH-2.0-OpenSSH_9.9", "SSH-2.0-sftpd", false},
		{"SSH-2.0-phpseclib_3.0", "SSH-2.0-OpenSSH_9.9", false},
	} {
		c, dir, _ := dialUploads(t, vfs.Uploads{}, Options{ClientVersion: tc.client, ServerVersion: tc.server})
		first, second := "target", "link"
		if tc.linkFirst {
			first, second = second, first
		}
		if got := c.status(typeSymlink, first, second); got != StatusOK {
			t.Errorf("%s: %s", tc.client, got)
		}
		if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "target" {
			t.Errorf("%s to %s: the link leads to %q, %v", tc.client, tc.server, to, err)
		}
	}
}

// TestKeepID: an ID of 0xFFFFFFFF leaves the owner unchanged, in combination with any other attribute.
func TestKeepID(t *testing.T) {
	c, dir, _ := dialUploads(t, vfs.Uploads{}, Options{})
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	for _, ids := range [][2]uint32{{vfs.KeepID, vfs.KeepID}, {uid, vfs.KeepID}, {vfs.KeepID, gid}} {
		if got := c.status(typeSetstat, "f", uint32(attrOwner), ids[0], ids[1]); got != StatusOK {
			t.Errorf("%x: %s", ids, got)
		}
		if got := c.status(typeExtended, "lsetstat@openssh.com", "f", uint32(attrOwner|attrMode), ids[0], ids[1], uint32(0o640)); got != StatusOK {
			t.Errorf("%x with a mode: %s", ids, got)
		}
	}
	if got := c.status(typeSetstat, "f", uint32(attrOwner), vfs.KeepID, gid+1); got != StatusPermissionDenied {
		t.Errorf("another group: %s", got)
	}
	if got := c.status(typeSetstat, "none", uint32(0)); got != StatusOK {
		t.Errorf("no attribute of no file: %s", got)
	}
}

// TestCreatedByReading: creation or truncation by an OPEN without WRITE is reported; with OnClose it happens when the file is
// closed.
func TestCreatedByReading(t *testing.T) {
	for _, u := range []vfs.Uploads{{}, {OnClose: true}, {DeleteIncomplete: true}} {
		var got events
		c, dir, _ := dialUploads(t, u, Options{Observe: got.observe})
		name := filepath.Join(dir, "f")
		for _, flags := range []int{flagRead | flagCreate, flagRead | flagTrunc} {
			h := c.open("f", flags)
			st, err := os.Stat(name)
			if early := err == nil && (flags&flagCreate != 0 || st.Size() == 0); early == u.OnClose {
				t.Errorf("%+v: changed before CLOSE: %v", u, early)
			}
			if got := c.status(typeWrite, h, uint64(0), "x"); got != StatusPermissionDenied {
				t.Errorf("WRITE: %s", got)
			}
			if got := c.status(typeClose, h); got != StatusOK {
				t.Errorf("CLOSE: %s", got)
			}
			if st, err := os.Stat(name); err != nil || st.Size() != 0 {
				t.Errorf("%+v: %v, %v", u, st, err)
			}
			if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		reported := slices.DeleteFunc(got.take(), func(e Event) bool { o, ok := e.(Operation); return ok && o.Op == "write" }) // refused
		for i, e := range reported {
			tr, ok := e.(Transfer)
			if !ok || tr.Direction != Upload || tr.Created != (i == 0) || tr.Truncated != (i == 1) {
				t.Errorf("%+v: event %d is %+v", u, i, e)
			}
		}
	}
}
