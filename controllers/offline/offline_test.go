package offline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

const listener = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPListener
metadata: {name: partners, namespace: files}
spec:
  volumes: [{name: data, emptyDir: {}}]
`

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh9RkZfsquAFo4SNVgMuQSDuHp8cmBNz53+x/O6P1ga"

func userWith(name, spec string) string {
	return "---\napiVersion: sftp-operator.io/v1alpha1\nkind: SFTPUser\nmetadata: {name: " + name +
		", namespace: files}\nspec:\n  listenerRef: {name: partners}\n" + spec
}

func secret(password string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: bob-password, namespace: files}\nstringData: {password: " + password + "}\n"
}

const (
	withKey      = "  authentication: {authorizedKeys: [" + key + "]}\n"
	withPassword = "  authentication: {passwordSecretRef: {name: bob-password}}\n"
)

func read(t *testing.T, manifests string) *offline.Manifests {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := offline.Read(t.Context(), []string{file})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run renders the only listener into dir, as manager render does.
func run(t *testing.T, m *offline.Manifests, dir string) (render.Files, []offline.Finding) {
	t.Helper()
	prev, err := offline.ReadPrevious(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &m.Listeners[0]
	files, findings, err := m.Render(t.Context(), l, prev, time.Now(), offline.VolumePath)
	if err != nil {
		t.Fatal(err)
	}
	if err := offline.Write(dir, files, render.Settings(l, render.Trust{}, offline.VolumePath).Volumes); err != nil {
		t.Fatal(err)
	}
	return files, findings
}

// Lists of revoked keys are read from the Secrets in the manifests. If one is missing, the keys that the directory revokes stay
// revoked.
func TestRevokedKeysOfASecret(t *testing.T) {
	const fingerprint = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
	withList := strings.Replace(listener, "spec:\n", "spec:\n  revokedKeysSecretRefs: [{name: lost, key: list}]\n", 1) + userWith("bob", withKey)
	list := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: lost, namespace: files}\nstringData: {list: \"" + fingerprint + "\"}\n"
	dir := t.TempDir()
	files, findings := renderOnly(t, read(t, withList))
	if files.Digest != "" || len(findings) != 1 || findings[0].Reason != "SecretNotFound" || !findings[0].Missing {
		t.Fatalf("without the list: %q, %v", files.Digest, findings)
	}
	for _, manifests := range []string{withList + list, withList} {
		m := read(t, manifests)
		prev, err := offline.ReadPrevious(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, _, err := m.Render(t.Context(), &m.Listeners[0], prev, time.Now(), offline.VolumePath)
		if err != nil {
			t.Fatal(err)
		}
		if err := offline.Write(dir, files, nil); err != nil {
			t.Fatal(err)
		}
		set, err := config.Load(dir)
		if err != nil || len(set.Listener.Revoked.Keys) != 1 || set.Listener.Revoked.Keys[0] != fingerprint {
			t.Errorf("%v, %+v", err, set.Listener.Revoked)
		}
	}
}

// Anything that the API server would refuse is refused with its message.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ manifests, message string }{
		"unknown field":   {userWith("bob", withKey+"  shell: /bin/sh\n"), `SFTPUser files/bob: unknown field "spec.shell"`},
		"rule":            {userWith("bob", withKey+"  mounts: [{path: /in, subPath: ../x}]\n"), "SFTPUser files/bob: spec.mounts[0].subPath: subPath must be a relative path"},
		"enum":            {userWith("bob", withKey+"  state: Gone\n"), `SFTPUser files/bob: spec.state: supported values: "Active", "Suspended"`},
		"no credential":   {userWith("bob", "  authentication: {methods: [{steps: [Password]}]}\n"), "methods with Password require passwordSecretRef"},
		"a way out":       {strings.Replace(userWith("bob", withKey), "namespace: files", "namespace: ../../bin", 1), `SFTPUser "../../bin/bob": metadata.namespace: `},
		"another way out": {userWith("../bob", withKey), `SFTPUser "files/../bob": metadata.name: `},
		"a Secret":        {strings.Replace(secret("x"), "namespace: files", `namespace: "\u001b[2J"`, 1), `Secret "\x1b[2J/bob-password": metadata.namespace: `},
		"unknown kind":    {"---\napiVersion: sftp-operator.io/v1alpha1\nkind: SFTPUsers\nmetadata: {name: x}\n", "SFTPUsers default/x: no such kind"},
		"unknown version": {"---\napiVersion: sftp-operator.io/v9\nkind: SFTPUser\nmetadata: {name: x}\n", "apiVersion must be sftp-operator.io/v1alpha1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := read(t, listener+c.manifests)
			if len(m.Refused) == 0 || !strings.Contains(strings.Join(m.Refused, "\n"), c.message) {
				t.Errorf("refused %q, want %q", m.Refused, c.message)
			}
		})
	}
}

// Anything that a condition would report is a finding.
func TestFindings(t *testing.T) {
	for name, c := range map[string]struct {
		manifests, finding string
		missing            bool
	}{
		"name taken":     {userWith("a", "  username: x\n"+withKey) + userWith("b", "  username: x\n"+withKey), "SFTPUser files/b: UsernameConflict", false},
		"missing Secret": {userWith("bob", withPassword), `SFTPUser files/bob: SecretNotFound: Secret "bob-password" does not exist`, true},
		"a pair that the operator makes": {
			userWith("bob", "") + "---\napiVersion: sftp-operator.io/v1alpha1\nkind: SFTPKey\nmetadata: {name: bob-key, namespace: files}\nspec: {usage: Client, userRef: {name: bob}}\n",
			`SFTPUser files/bob: KeyNotFound: The operator generates the key pair of SFTPKey "bob-key" in the cluster, so its public key is unknown here`, true,
		},
		"bad key": {userWith("bob", "  authentication: {authorizedKeys: [ssh-ed25519 AAAA]}\n"), "SFTPUser files/bob: InvalidPublicKey", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings := run(t, read(t, listener+c.manifests), t.TempDir())
			if len(findings) != 1 || !strings.HasPrefix(findings[0].String(), c.finding) || findings[0].Missing != c.missing {
				t.Errorf("findings %v, want %q, missing %v", findings, c.finding, c.missing)
			}
		})
	}
	m := read(t, listener+"---\napiVersion: sftp-operator.io/v1alpha1\nkind: SFTPUser\nmetadata: {name: lost}\nspec:\n  listenerRef: {name: nowhere}\n"+withKey)
	if got := m.Unattached(); len(got) != 1 || got[0].Reason != "ListenerNotFound" {
		t.Errorf("unattached %v", got)
	}
}

// The daemon loads what is written. A second run changes nothing: the host key is kept, and a password is hashed again only if
// it has changed.
func TestDirectoryIsStable(t *testing.T) {
	dir := t.TempDir()
	manifests := listener + userWith("alice", withKey) + userWith("bob", withPassword)
	first, findings := run(t, read(t, manifests+secret("first-password")), dir)
	if len(findings) != 0 {
		t.Fatalf("findings %v", findings)
	}
	set, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Users) != 2 || len(set.Rejected) != 0 || set.Digest != first.Digest {
		t.Fatalf("loaded %d users, rejected %v, digest %s", len(set.Users), set.Rejected, set.Digest)
	}
	if second, _ := run(t, read(t, manifests+secret("first-password")), dir); second.Digest != first.Digest {
		t.Error("rendering the same again gives something else")
	}
	third, _ := run(t, read(t, manifests+secret("other-password")), dir)
	if third.Digest == first.Digest || !bytes.Equal(third.Config[config.HostKeyFile(0)], first.Config[config.HostKeyFile(0)]) {
		t.Error("another password must change the users and not the host key")
	}
	if set, err = config.Load(dir); err != nil {
		t.Fatal(err)
	}
	for _, u := range set.Users {
		if u.Password == nil {
			continue
		}
		h, err := password.Parse(u.Password.Hash)
		if err != nil || !h.Verify([]byte("other-password")) || h.Verify([]byte("first-password")) {
			t.Errorf("%s: the hash is not of the present password: %v", u.Username, err)
		}
	}
}

// Of two host keys of one type, the second is a spare; both are kept for the next run.
func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	hostKey := func(name string) string {
		return "---\napiVersion: sftp-operator.io/v1alpha1\nkind: SFTPKey\nmetadata: {name: " + name + ", namespace: files}\nspec: {usage: Host}\n"
	}
	manifests := listener + "  hostKeyRefs: [{name: a}, {name: b}]\n" + hostKey("a") + hostKey("b")
	first, findings := run(t, read(t, manifests), dir)
	if len(findings) != 0 {
		t.Fatalf("findings %v", findings)
	}
	set, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if k := set.Listener.HostKeys; len(k) != 2 || k[0].State != config.HostKeyActive || k[1].State != config.HostKeyAdvertised {
		t.Errorf("host keys %+v", k)
	}
	if second, _ := run(t, read(t, manifests), dir); second.Digest != first.Digest {
		t.Error("rendering the same again gives something else")
	}
	broken := strings.Replace(manifests, "spec: {usage: Host}", "spec: {usage: Host, source: Existing}", 1) +
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: files}\nstringData:\n  ssh-certificate: hello\n  ssh-privatekey: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(string(set.HostKeys[0])), "\n", "\n    ") + "\n"
	third, findings := run(t, read(t, broken), dir)
	if len(findings) != 1 || findings[0].Reason != "InvalidHostCertificate" || len(third.Config) != 3 {
		t.Errorf("findings %v, files %d", findings, len(third.Config))
	}
}

// A directory with other content is not overwritten.
func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.ListenerFile), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.ReadPrevious(dir); err == nil || !strings.Contains(err.Error(), "use an empty directory") {
		t.Errorf("error %v", err)
	}
}

// renderOnly renders the only listener, and writes nothing.
func renderOnly(t *testing.T, m *offline.Manifests) (render.Files, []offline.Finding) {
	t.Helper()
	files, findings, err := m.Render(t.Context(), &m.Listeners[0], offline.Previous{}, time.Now(), offline.VolumePath)
	if err != nil {
		t.Fatal(err)
	}
	return files, findings
}
