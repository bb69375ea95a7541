package e2e

import (
	"io/fs"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Retention on a volume of a node: a rule counts files, deletes nothing that is younger than its age whether it reports or
// enforces, and skips held directories. Tests with their own clocks (sftpd/retention, sftpd/daemon) show that expired files
// are deleted, and nothing else: a volume's clock cannot be set from here.
func TestRetention(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, "retention", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Retention = v1alpha1.ListenerRetention{
			Rules: []v1alpha1.RetentionRule{{Name: "inbox", SubPath: "in", DeleteAfterSeconds: 3600, Mode: v1alpha1.RetentionReport}},
			Holds: []v1alpha1.RetentionHold{{Name: "case-17", Path: ns + "/acme/in/disputed"}},
		}
	})
	k := newKey(t)
	u := newUser(t, l, ns, "acme", keyAuth(k))
	s := mustLogin(t, l, u.Name, ssh.PublicKeys(k.signer))
	must(t, s.Mkdir("/in"))
	must(t, s.Mkdir("/in/disputed"))
	paths := []string{"/in/1.csv", "/in/2.csv", "/in/disputed/3.csv"}
	for _, p := range paths {
		upload(t, s, p)
		must(t, s.Chtimes(p, time.Unix(0, 0), time.Unix(0, 0))) // times that a client sets do not matter
	}
	counted := func(what string, files int64, after time.Time) time.Time {
		t.Helper()
		var at time.Time
		eventually(t, 5*time.Minute, what, func() bool {
			must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(l), l))
			for _, r := range l.Status.Retention {
				if r.Rule == "inbox" && r.LastRunTime != nil && r.LastRunTime.After(after) && r.Files != nil && *r.Files == files {
					at = r.LastRunTime.Time
					if r.DueFiles != nil && *r.DueFiles != 0 || r.DeletedFiles != nil && *r.DeletedFiles != 0 {
						t.Errorf("the rule applies to files that are seconds old: %+v", r)
					}
					return true
				}
			}
			return false
		})
		return at
	}
	// The first run may have been before the uploads, and the next one is a day later: a changed rule runs at once.
	update(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Retention.Rules[0].Match = []string{"*.csv"} })
	reported := counted("the rule reports", 2, time.Time{})
	update(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Retention.Rules[0].Mode = v1alpha1.RetentionEnforce })
	counted("the rule enforces", 2, reported)

	for _, p := range paths {
		if info, err := s.Stat(p); err != nil || info.Mode().Type() != fs.FileMode(0) {
			t.Errorf("%s: %v", p, err)
		}
	}
	must(t, s.conn.Close())
}

func upload(t *testing.T, s *session, path string) {
	t.Helper()
	f, err := s.Create(path)
	must(t, err)
	_, err = f.Write([]byte("content"))
	must(t, err)
	must(t, f.Close())
}
