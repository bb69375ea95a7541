package command

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/migrate"
)

// keyLine returns the n-th of a fixed sequence of Ed25519 keys.
func keyLine(t *testing.T, n int) string {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, strconv.Itoa(n))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// number returns an odd number with a given number of bits.
func number(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1)
}

func rsaLine(t *testing.T, bits uint) string {
	t.Helper()
	return blobLine(t, "ssh-rsa", struct {
		Type string
		E, N *big.Int
	}{"ssh-rsa", big.NewInt(65537), number(bits)})
}

func dsaLine(t *testing.T) string {
	t.Helper()
	return blobLine(t, "ssh-dss", struct {
		Type       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", number(1024), number(160), big.NewInt(2), big.NewInt(3)})
}

func blobLine(t *testing.T, kind string, wire any) string {
	t.Helper()
	blob, err := json.Marshal(ssh.Marshal(wire)) // base64, in quotes
	if err != nil {
		t.Fatal(err)
	}
	return kind + " " + strings.Trim(string(blob), `"`)
}

// usersConf returns 200 lines of all kinds.
func usersConf() string {
	var lines []string
	for i := range 200 {
		name := fmt.Sprintf("user%03d", i)
		switch {
		case i == 0:
			lines = append(lines, "# users of the old server")
		case i == 1:
			lines = append(lines, "")
		case i == 42:
			lines = append(lines, name+":$2b$04$abcdefghijklmnopqrstuuKRZ0G5Zb3XvZ1pYpE8hZ0l0h7mWqD5S:e:1001:100:upload") // a hash
		case i%40 == 2:
			lines = append(lines, name+":$6$rounds=5000$abcdefgh$"+strings.Repeat("x", 80)+":e:1001:100:upload") // a hash that is too short
		case i%40 == 3:
			lines = append(lines, name+"::1001") // only keys
		case i%40 == 4:
			lines = append(lines, fmt.Sprintf("User.%03d:a password:::: ", i)) // too many fields
		case i%40 == 5:
			lines = append(lines, fmt.Sprintf("User.%03d:a password:::in,out", i)) // another name
		case i%40 == 6:
			lines = append(lines, fmt.Sprintf("user%03d:a second line", i-5+1)) // a duplicate
		case i == 87:
			lines = append(lines, "-dash:password")
		case i == 88:
			lines = append(lines, "no colon")
		case i == 89:
			lines = append(lines, name+":password:::../etc")
		case i == 90:
			lines = append(lines, name+":$1$salt$0123456789abcdefghijkl") // a hash that is not marked
		case i == 91:
			lines = append(lines, "user_091:password", "user-091:password") // one name for both
		case i == 92: // fixed by the previous line
		default:
			lines = append(lines, fmt.Sprintf("%s:pass word %d:%d:100:upload", name, i, 1000+i))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// keyFiles writes 500 files of all kinds, with the paths that other servers use.
func keyFiles(t *testing.T, dir string) {
	t.Helper()
	for i := range 500 {
		name := fmt.Sprintf("user%03d", i)
		file, content := name+".pub", keyLine(t, i)+" "+name+"@example.com\n"
		switch i % 25 {
		case 1:
			file = name + "/.ssh/authorized_keys"
			content += "# a second one\n" + keyLine(t, i+1000) + "\n"
		case 2:
			file = name + "/.ssh/keys/laptop.pub"
		case 3:
			content = dsaLine(t) + " old\n"
		case 4:
			content = rsaLine(t, 1024) + " weak\n" + content
		case 5:
			content = `command="/bin/backup" ` + content
		case 6:
			content = `no-pty,from="192.0.2.0/24,2001:db8::1",command="internal-sftp" ` + content
		case 7:
			content = `from="*.example.com" ` + content
		case 8:
			content = `expiry-time="20270101" ` + content
		case 9:
			content = content[:40] + "\n"
		case 10:
			content = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
		case 11:
			content = keyLine(t, 11) + " everyone's\n" // shared
		case 12:
			content = rsaLine(t, 2048) + fmt.Sprintf(" %s\n", name)
			content += content // twice, and the same for all users
		case 13:
			content = "cert-authority " + content
		case 14:
			content = "# nothing\n"
		}
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// An entire server is migrated: the API server accepts the resulting objects, and the report lists everything else.
func TestImportOfAServer(t *testing.T) {
	ns := namespace(t, "import")
	dir := t.TempDir()
	conf, keys, out := filepath.Join(dir, "users.conf"), filepath.Join(dir, "keys"), filepath.Join(dir, "users.yaml")
	const lines = 200
	text := usersConf()
	if n := strings.Count(text, "\n"); n != lines {
		t.Fatalf("%d lines", n)
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keyFiles(t, keys)
	args := []string{"import", "-n", ns, "--listener", "partners", "--users-conf", conf, "--authorized-keys", keys}

	plug(t, append(args, "-f", out)...).want(t, exitRejected, "import.txt")
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != privateMode {
		t.Fatalf("%v, %v: the file has passwords", info, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(string(data), "---\n")[1:] {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), u); err != nil {
			t.Fatal(err)
		}
		if err := api.Create(t.Context(), u); err != nil {
			t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}

	// The machine-readable report has the same content, and its numbers match the objects.
	report := filepath.Join(dir, "report.json")
	if r := plug(t, append(args, "--report", report)...); r.code != exitRejected || r.out != string(data) || r.err != "" {
		t.Errorf("exit code %d, standard error %q, or other manifests than before", r.code, r.err)
	}
	data, err = os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var got migrate.Report
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	var users v1alpha1.SFTPUserList
	if err := api.List(t.Context(), &users, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	keysFound, passwords := 0, 0
	for i := range users.Items {
		auth := users.Items[i].Spec.Authentication
		keysFound += len(auth.AuthorizedKeys)
		if auth.PasswordSecretRef != nil {
			passwords++
		}
	}
	if got.Users != len(users.Items) || got.Keys != keysFound || got.Passwords != passwords || got.Users == 0 {
		t.Errorf("report %d users, %d keys, %d passwords; there are %d, %d and %d", got.Users, got.Keys, got.Passwords, len(users.Items), keysFound, passwords)
	}
	for _, secret := range []string{"pass word", "abcdefgh", "0123456789"} {
		if strings.Contains(string(data), secret) {
			t.Errorf("the report has a password: %q", secret)
		}
	}
}

// What the manifests look like.
func TestImportManifests(t *testing.T) {
	plug(t, "import", "-n", "team-a", "--listener", "partners", "--listener-namespace", "files",
		"--users-conf", "testdata/import/users.conf", "--authorized-keys", "testdata/import/keys").want(t, exitRejected, "import-small.yaml")
}

// A machine without a kubeconfig is sufficient.
func TestImportWithoutACluster(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	r := line(t, "", "import", "--listener", "partners", "--users-conf", "testdata/import/users.conf")
	if r.code != exitRejected || !strings.Contains(r.out, "namespace: default\n") {
		t.Errorf("%+v", r)
	}
}

func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.yaml")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--listener l":          "at least one of",
		"--users-conf " + there: "--listener",
		"--listener l --users-conf " + there + " --crypto-policy none": "crypto policy",
		"--listener l --users-conf " + dir + "/none":                   "no such file",
		"--listener l --authorized-keys " + there:                      "not a directory",
		"--listener l --users-conf " + there + " -f " + there:          "exists",
	} {
		r := plug(t, append([]string{"import"}, strings.Fields(args)...)...)
		if r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
}
