package migrate

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFWYERbIIOq+D1xdh7yKuRiIJ9M04yrkSMqxNC30VzJc"

// aHash is a SHA-512 crypt hash, as openssl passwd -6 creates it.
const aHash = "$6$abcdefgh$dTmIYmW/LpvGK/iiDSK9zlcKIRJ33.7YE9DETLAR1zX9/2./Fv6/8dFZ1tCs/Kfp//7QeoJfyRWP7XdDzP87j1"

func newMigration(t testing.TB) *Migration {
	t.Helper()
	m, err := New(Options{Namespace: "team", Listener: "partners"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The result of each form of a line.
func TestUsersConf(t *testing.T) {
	for line, want := range map[string]string{
		"acme:pw":                      "acme password=pw",
		"acme:pw:1001":                 "acme password=pw; N",
		"acme:pw:1001:100:in,out/2026": "acme password=pw /in /out/2026; N",
		"acme:pw:::in":                 "acme password=pw /in",
		"acme:pw:::in/,/out":           "acme password=pw /in /out",
		"acme:p w$%:::":                "acme password=p w$%",
		"acme:$6$a$b":                  "acme password=$6$a$b", // too short for a hash
		"acme:pw:::../etc":             "acme password=pw; R",
		"acme:pw:::a//b":               "acme password=pw; R",
		"acme:pw:::.":                  "acme password=pw; R",
		"A_b:pw":                       "a-b as A_b password=pw; N",
		"acme:pw\r":                    "acme password=pw",

		"acme":             "; R",
		"acme:":            "; R",
		":pw":              "; R",
		"-acme:pw":         "; R",
		"acme:p:w:1:2:3:4": "; R",
		"acme:$6$aaaaaaaa$bbbbbbbbbbbbbbbb:e:1001": "; RRN", // too short for a hash
		"acme:$1$salt$0123456789abcdefghijkl:e":    "; RR",
		"acme:pw:e":                                "; RR",
		"acme:" + aHash + ":e:1001":                "acme passwordHash=" + aHash + "; N",
		"acme:" + aHash + ":e:::in":                "acme passwordHash=" + aHash + " /in",
		"acme:" + aHash:                            "; RR",
		"acme:$6$aaaaaaaa$bbbbbbbbbbbbbbbb":        "; RR",
		"acme:" + strings.Repeat("x", 1025):        "; RR",
		"# acme:pw":                                "",
		"  ":                                       "",
	} {
		m := newMigration(t)
		m.UsersConf("users.conf", []byte(line))
		if got := describe(m.Finish()); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// describe summarizes the result in one line, with an R for each rejection and an N for each notice.
func describe(o Objects, r Report) string {
	var out []string
	for i := range o.Users {
		u := &o.Users[i]
		out = append(out, u.Name)
		if u.Spec.Username != "" {
			out = append(out, "as", u.Spec.Username)
		}
		for _, k := range u.Spec.Authentication.AuthorizedKeys {
			out = append(out, strings.ReplaceAll(k, aKey, "KEY"))
		}
		for _, s := range o.Secrets {
			if ref := u.Spec.Authentication.PasswordSecretRef; s.Data[ref.Key] != nil && ref.Format != v1alpha1.PasswordHash {
				out = append(out, "in clear")
			}
			for k, v := range s.Data {
				out = append(out, fmt.Sprintf("%s=%s", k, v))
			}
		}
		for _, m := range u.Spec.Mounts {
			out = append(out, m.Path)
		}
	}
	text := strings.Join(out, " ")
	findings := strings.Repeat("R", len(r.Rejected)) + strings.Repeat("N", len(r.Notices))
	if findings != "" {
		text += "; " + findings
	}
	return text
}

// The user of a file, and the results for its lines.
func TestKeyFiles(t *testing.T) {
	for path, want := range map[string]string{
		"acme":                          "acme KEY",
		"acme.pub":                      "acme KEY",
		"acme.keys":                     "acme KEY",
		"acme.authorized_keys":          "acme KEY",
		"acme/authorized_keys":          "acme KEY",
		"acme/.ssh/authorized_keys":     "acme KEY",
		"acme/.ssh/authorized_keys2":    "acme KEY",
		"acme/.ssh/keys/laptop":         "acme KEY",
		"acme/keys/laptop.pub":          "acme KEY",
		"acme/.ssh/known_hosts":         "; N",
		"acme/deep/er/authorized_keys":  "; N",
		"acme/.ssh/keys/.laptop.pub~":   "; N",
		".hidden":                       "; N",
		".pub":                          "; N",
		"acme/.ssh/keys/deep/er/laptop": "; N",
	} {
		m := newMigration(t)
		if err := m.KeyFiles("keys", fstest.MapFS{path: {Data: []byte(aKey + "\n")}}); err != nil {
			t.Fatal(err)
		}
		if got := describe(m.Finish()); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for line, want := range map[string]string{
		aKey + " a comment":                          "acme KEY a comment",
		`from="192.0.2.1" ` + aKey:                   `acme from="192.0.2.1" KEY`,
		`restrict ` + aKey:                           "acme KEY; N",
		`no-pty,from="192.0.2.1",no-user-rc ` + aKey: `acme from="192.0.2.1" KEY; N`,
		`command="internal-sftp" ` + aKey + " c":     "acme KEY c; N",
		`command="internal-sftp -d /in" ` + aKey:     "; RR",
		`environment="A=b" ` + aKey:                  "; RR",
		aKey + "\n" + aKey + " again":                "acme KEY; N",
		aKey[:50]:                                    "; RR",
		"ssh-dss AAAA":                               "; RR",
		"-----BEGIN RSA PRIVATE KEY-----\nAAAA":      "; RR",
		"# none":                                     "; RN",
	} {
		m := newMigration(t)
		if err := m.KeyFiles("keys", fstest.MapFS{"acme": {Data: []byte(line)}}); err != nil {
			t.Fatal(err)
		}
		if got := describe(m.Finish()); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// A file in a home directory may have any size.
func TestKeyFilesOfAnySize(t *testing.T) {
	m := newMigration(t)
	if err := m.KeyFiles("keys", fstest.MapFS{"acme": {Data: make([]byte, maxFile+1)}}); err != nil {
		t.Fatal(err)
	}
	if _, r := m.Finish(); len(r.Rejected) != 1 || !strings.Contains(r.Rejected[0].Text, "bytes") {
		t.Errorf("%+v", r)
	}
}

// A link may lead out of the directory, to another person's keys.
func TestKeyFilesFollowsNoLinks(t *testing.T) {
	m := newMigration(t)
	if err := m.KeyFiles("keys", fstest.MapFS{"acme": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}}); err != nil {
		t.Fatal(err)
	}
	if got := describe(m.Finish()); got != "; R" && got != "; N" {
		t.Errorf("%q", got)
	}
}

// More keys than fit into a spec get a Secret.
func TestManyKeys(t *testing.T) {
	m := newMigration(t)
	var file strings.Builder
	for i := range maxInlineKeys + 1 {
		// Networks make the lines differ, the letters the keys.
		fmt.Fprintf(&file, "%s%c%s\n", aKey[:60], 'A'+i%26, aKey[61:])
		fmt.Fprintf(&file, "%s%c%s\n", aKey[:61], 'A'+i%26, aKey[62:])
	}
	m.keyFile("keys/acme", "acme", []byte(file.String()))
	o, r := m.Finish()
	if len(o.Users) != 1 || len(o.Secrets) != 1 || len(o.Users[0].Spec.Authentication.AuthorizedKeys) != 0 ||
		o.Users[0].Spec.Authentication.AuthorizedKeysSecretRefs[0].Name != "acme-keys" {
		t.Fatalf("%+v", o)
	}
	if n := strings.Count(string(o.Secrets[0].Data["authorized_keys"]), "\n"); n != r.Keys || n <= maxInlineKeys {
		t.Errorf("%d lines, the report has %d", n, r.Keys)
	}
}

// Whatever a users.conf contains, the objects have valid names, and the report contains no password.
func FuzzUsersConf(f *testing.F) {
	f.Add("acme:a password:e:1001:100:in,out\nA_b:pw\na-b:pw\n")
	f.Add(":::::::\n\n#\n\x00:\xff")
	f.Fuzz(func(t *testing.T, text string) {
		m := newMigration(t)
		m.UsersConf("users.conf", []byte(text))
		o, r := m.Finish()
		names := map[string]bool{}
		for i := range o.Users {
			u := &o.Users[i]
			if !nameRE.MatchString(u.Name) || len(u.Name) > 63 || names[u.Name] {
				t.Errorf("name %q", u.Name)
			}
			names[u.Name] = true
			if u.Spec.Username != "" && !loginRE.MatchString(u.Spec.Username) {
				t.Errorf("username %q", u.Spec.Username)
			}
			if u.Spec.Authentication.PasswordSecretRef == nil {
				t.Errorf("%s has no credential", u.Name)
			}
		}
		if r.Users != len(o.Users) || r.Passwords != len(o.Secrets) {
			t.Errorf("%+v for %d users", r, len(o.Users))
		}
	})
}
