package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/explain"
)

const whyLog = `{"time":"2026-11-25T11:00:01Z","event":"login","result":"ok","source":"192.0.2.7:50000","user":"acme","account":"why/acme","methods":["PublicKey"],"key_fingerprint":"SHA256:a"}
{"time":"2026-11-25T11:00:02Z","event":"login_refused","result":"refused","source":"192.0.2.7:50001","user":"acme","account":"why/acme","methods":["PublicKey"],"keys_offered":["SHA256:a","SHA256:b"],"reason":"source_not_allowed"}
{"time":"2026-11-25T11:00:03Z","event":"login_refused","result":"refused","source":"192.0.2.7:50001","user":"globex","account":"why/globex","reason":"wrong_password"}
`

func TestWhy(t *testing.T) {
	ns := namespace(t, "why")
	manifests(t, ns, "partners.yaml")
	startKubelet(t, ns).pod(t, ns, "partners", ns, "", whyLog)
	u := userOf(t, ns, "acme")
	dir := t.TempDir()
	files := map[string]string{"first.pub": u.Spec.Authentication.AuthorizedKeys[0], "second.pub": strings.SplitN(u.Spec.Authentication.AuthorizedKeys[1], " ", 2)[1], "junk": "no key"}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		golden, args string
		code         int
	}{
		{"why-ok.txt", "acme -i " + dir + "/first.pub --from 192.0.2.7", 0},
		{"why-from.txt", "acme -i " + dir + "/second.pub --from 192.0.2.7 --last 1", exitDenied},
		{"why-other-key.txt", "globex -i " + dir + "/first.pub --no-audit", exitDenied},
		{"why-password.txt", "acme --method Password --no-audit", exitDenied},
		{"why-suspended.txt", "initech --no-audit", exitDenied},
		{"why-method.txt", "acme --method gssapi", exitUsage},
		{"why-address.txt", "acme --from here", exitUsage},
		{"why-fingerprint.txt", "acme --fingerprint MD5:aa", exitUsage},
		{"why-nobody.txt", "nobody", exitFailed},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			plug(t, append([]string{"why", "-n", ns}, strings.Fields(tc.args)...)...).want(t, tc.code, tc.golden)
		})
	}
	if r := plug(t, "why", "acme", "-n", ns, "-i", filepath.Join(dir, "junk")); r.code != exitFailed || !strings.Contains(r.err, "neither a public nor a private key") {
		t.Errorf("%+v", r)
	}

	// The same in machine-readable form.
	r := plug(t, "why", "acme", "-n", ns, "-i", filepath.Join(dir, "second.pub"), "--from", "192.0.2.7", "-o", "json")
	var e explanation
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || r.code != exitDenied || e.Verdict != explain.Denied || len(e.Audit) != 2 || e.AuditNote != "" {
		t.Errorf("%+v, %v", r, err)
	}

	// A caller who can read only users and listeners gets what these contain, and a list of what could not be read.
	viewer := account(t, ns, "why-viewer", reads("sftpusers", "sftplisteners"))
	t.Run("viewer", func(t *testing.T) {
		plugInput(t, viewer, "", "why", "acme", "-n", ns, "-i", filepath.Join(dir, "first.pub")).want(t, exitUnknown, "why-viewer.txt")
	})
	t.Run("viewer/password", func(t *testing.T) {
		plugInput(t, viewer, "", "why", "acme", "-n", ns, "--method", "Password", "--no-audit").want(t, exitUnknown, "why-viewer-password.txt")
	})

	// A login name, which is what a partner knows; and a deleted listener.
	named := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partner"},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef:    v1alpha1.ListenerReference{Name: "gone"},
			Authentication: v1alpha1.UserAuthentication{AuthorizedKeys: u.Spec.Authentication.AuthorizedKeys[:1]},
		},
		Status: v1alpha1.SFTPUserStatus{Username: "why.partner"},
	}
	create(t, named)
	if r := plug(t, "why", "why.partner", "-n", ns); r.code != exitDenied || !strings.Contains(r.out, "denied   listener ") {
		t.Errorf("%+v", r)
	}

	// The listener's owner excludes the network.
	l := &v1alpha1.SFTPListener{}
	if err := api.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "partners"}, l); err != nil {
		t.Fatal(err)
	}
	l.Spec.AllowedCIDRs = []string{"203.0.113.0/24"}
	if err := api.Update(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if r := plug(t, "why", "acme", "-n", ns, "-i", filepath.Join(dir, "first.pub"), "--from", "192.0.2.7"); r.code != exitDenied ||
		!strings.Contains(r.out, "denied   listener's networks") {
		t.Errorf("%+v", r)
	}
}
