package interop

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestBrokenUploads interrupts OpenSSH's sftp in the middle of a put, checks what remains, and resumes with reput, or repeats
// the put if nothing remains.
func TestBrokenUploads(t *testing.T) {
	for _, tc := range []struct {
		publish, incomplete string
		left                string // in the audit log
		underName, resumes  bool
	}{
		{config.PublishImmediate, config.IncompleteKeep, "kept", true, true},
		{config.PublishImmediate, config.IncompleteDelete, "deleted", false, false},
		{config.PublishOnClose, config.IncompleteKeep, "kept", false, true},
		{config.PublishOnClose, config.IncompleteDelete, "deleted", false, false},
	} {
		t.Run(tc.publish+"/"+tc.incomplete, func(t *testing.T) {
			key, pem := configtest.Key(t)
			dir := configtest.New(t)
			dir.Listener.Uploads = config.Uploads{Publish: tc.publish, Incomplete: tc.incomplete, SyncOnClose: true}
			dir.AddUser("ada", "", key.PublicKey())
			o := newOpenSSH(t, dir)
			local, remote := t.TempDir(), dir.Home("ada")
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
			if err := os.WriteFile(filepath.Join(local, "big"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			options := o.identity(t, pem)

			cut(t, o, options, filepath.Join(local, "big"), remote)
			e := o.daemon.WaitAudit(t, "transfer", 1)
			written, _ := e["bytes_written"].(float64)
			if e["result"] != "aborted" || e["left"] != tc.left || e["path"] != "/big" || written == 0 || int(written) >= len(data) {
				t.Errorf("audit: %v", e)
			}
			st, err := os.Stat(filepath.Join(remote, "big"))
			if (err == nil) != tc.underName || err == nil && st.Size() == 0 {
				t.Errorf("under its name: %v, %v", st, err)
			}
			if listing := o.run(t, "sftp", "ada", "", "ls -a1\n", append(options, "-b", "-")); strings.Contains(listing.stdout, "sftpd-upload") {
				t.Errorf("listing %s", listing.stdout)
			}

			again := "put "
			if tc.resumes {
				again = "reput "
			}
			o.run(t, "sftp", "ada", "", again+filepath.Join(local, "big")+" big\n", append(options, "-b", "-")).ok(t)
			e = o.daemon.WaitAudit(t, "transfer", 2)
			if n, _ := e["bytes_written"].(float64); tc.resumes && int(n) != len(data)-int(written) || e["result"] != "ok" || e["left"] != nil {
				t.Errorf("the second attempt, after %v bytes: %v", written, e)
			}
			if got, err := os.ReadFile(filepath.Join(remote, "big")); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, which differ: %v", len(got), err)
			}
			if names, _ := os.ReadDir(remote); len(names) != 1 {
				t.Errorf("left next to it: %v", names)
			}
		})
	}
}

// cut starts a slow upload of a file, and kills the client when part of it has arrived in a directory.
func cut(t *testing.T, o *openSSH, options []string, file, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	host, port, _ := strings.Cut(o.daemon.Addr, ":")
	args := append([]string{
		"-F", "none", "-P", port, "-l", "8000", // kbit/s: the file takes four seconds
		"-o", "UserKnownHostsFile=" + o.known, "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
	}, options...)
	cmd := exec.CommandContext(ctx, "sftp", append(args, "-b", "-", "ada@"+host)...)
	cmd.Stdin = strings.NewReader("put " + file + " big\n")
	cmd.Env = append(os.Environ(), "HOME="+o.keys, "SSH_AUTH_SOCK=")
	// Killing sftp would let ssh close the session gracefully.
	cmd.SysProcAttr = group()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		killGroup(cmd.Process.Pid)
		_ = cmd.Wait() // it was killed
	}()
	o.daemon.Eventually(t, "some of the file has arrived", func() bool {
		entries, _ := os.ReadDir(dir) // created by the login
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			info, err := e.Info()
			return err == nil && info.Mode().IsRegular() && info.Size() > 0
		})
	})
}
