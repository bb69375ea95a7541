package hostkeys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// announced returns the keys in a payload of hostkeys-00@openssh.com.
func announced(t *testing.T, payload []byte) []string {
	t.Helper()
	var out []string
	for len(payload) > 0 {
		var next struct {
			Key  []byte
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(payload, &next); err != nil {
			t.Fatal(err)
		}
		out, payload = append(out, string(next.Key)), next.Rest
	}
	return out
}

// TestStates: which keys are used, announced and proved in each state, during a rotation and with several key types.
func TestStates(t *testing.T) {
	a, aFile := configtest.Key(t)
	b, bFile := configtest.Key(t)
	c, cFile := configtest.Key(t)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{
		string(a.PublicKey().Marshal()): "a", string(b.PublicKey().Marshal()): "b", string(c.PublicKey().Marshal()): "c",
		string(configtest.Signer(t, p256).PublicKey().Marshal()): "e",
	}
	files := map[byte][]byte{'a': aFile, 'b': bFile, 'c': cFile, 'e': configtest.PEM(t, p256)}
	states := map[byte]string{
		's': config.HostKeyStaged, 'v': config.HostKeyAdvertised, '*': config.HostKeyActive, 'r': config.HostKeyRetiring,
	}
	for _, tc := range []struct{ keys, used, announced string }{
		{"a*", "a", "a"},
		{"a* bs", "a", "a"},
		{"a* bv", "a", "a b"},
		{"ar b*", "b", "a b"},
		{"b*", "b", "b"},
		{"a* bs cs e*", "a e", "a e"},
		{"ar bv e*", "a e", "a b e"}, // there is no active key of the type: a is still used
		{"ar br e*", "a e", "a b e"}, // one per type
		{"as bv e*", "e", "b e"},     // no key that is not yet active is used
		{"a* br er", "a e", "a b e"},
	} {
		t.Run(tc.keys, func(t *testing.T) {
			var data [][]byte
			var settings []config.HostKey
			for f := range strings.FieldsSeq(tc.keys) {
				data, settings = append(data, files[f[0]]), append(settings, config.HostKey{State: states[f[1]]})
			}
			set, err := Load(data, settings, modern(t))
			if err != nil {
				t.Fatal(err)
			}
			var used, told []string
			for _, s := range set.Signers(time.Now()) {
				used = append(used, names[string(s.PublicKey().Marshal())])
			}
			for _, wire := range announced(t, set.Announcement()) {
				told = append(told, names[wire])
			}
			if got := strings.Join(used, " "); got != tc.used {
				t.Errorf("key exchanges use %s, want %s", got, tc.used)
			}
			if got := strings.Join(told, " "); got != tc.announced {
				t.Errorf("announced %s, want %s", got, tc.announced)
			}
			for wire, name := range names {
				k, found := set.Find([]byte(wire))
				if found != strings.Contains(tc.keys, name) || found && string(k.Signer.PublicKey().Marshal()) != wire || found && !set.Has(k.Fingerprint) {
					t.Errorf("%s: found %v", name, found)
				}
			}
		})
	}
	if _, err := Load([][]byte{aFile}, nil, modern(t)); err == nil {
		t.Error("took a key without settings")
	}
}

// TestClientOfAnotherType: a key that is advertised is used for a client that can use no other, and for no one else; one that pods
// may lack is not, and neither is a spare of a type that the client can use.
func TestClientOfAnotherType(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed := configtest.Key(t)
	_, spare := configtest.Key(t)
	files := map[byte][]byte{'e': ed, 's': spare, 'r': configtest.PEM(t, rsaKey), 'c': configtest.PEM(t, ecKey)}
	states := map[byte]string{'*': config.HostKeyActive, 'v': config.HostKeyAdvertised, 's': config.HostKeyStaged, 'r': config.HostKeyRetiring}
	const rsaOld, ed25519, ecdsa256 = ssh.KeyAlgoRSA, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256
	for _, tc := range []struct {
		policy, keys string
		offered      []string
		want         string // the types of the signers
	}{
		{cryptopolicy.Legacy2026, "e* rv", []string{rsaOld}, "ssh-ed25519 ssh-rsa"},
		{cryptopolicy.Legacy2026, "e* rv", []string{rsaOld, ed25519}, "ssh-ed25519"},
		{cryptopolicy.Legacy2026, "e* rv", nil, "ssh-ed25519 ssh-rsa"},
		{cryptopolicy.Legacy2026, "e* rs", []string{rsaOld}, "ssh-ed25519"},
		{cryptopolicy.Legacy2026, "e* r*", []string{rsaOld}, "ssh-ed25519 ssh-rsa"},
		{cryptopolicy.Legacy2026, "e* sv", []string{rsaOld}, "ssh-ed25519"},
		{cryptopolicy.Legacy2026, "e* sv rv cv", []string{ecdsa256}, "ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256"},
		{cryptopolicy.Legacy2026, "r* ev", []string{rsaOld}, "ssh-rsa"},
		{cryptopolicy.Modern2026, "e* rv", []string{rsaOld}, "ssh-ed25519 ssh-rsa"}, // which then signs with SHA-2 only
		{cryptopolicy.Modern2026, "e* rv", []string{ssh.KeyAlgoRSASHA256}, "ssh-ed25519 ssh-rsa"},
		{cryptopolicy.Modern2026, "er rv", []string{ed25519}, "ssh-ed25519"},
	} {
		policy, err := cryptopolicy.Lookup(tc.policy)
		if err != nil {
			t.Fatal(err)
		}
		var data [][]byte
		var settings []config.HostKey
		for f := range strings.FieldsSeq(tc.keys) {
			data, settings = append(data, files[f[0]]), append(settings, config.HostKey{State: states[f[1]]})
		}
		set, err := Load(data, settings, policy)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range set.SignersFor(tc.offered, time.Now()) {
			got = append(got, s.PublicKey().Type())
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s with %s for a client that offers %v: %v, want %s", tc.policy, tc.keys, tc.offered, got, tc.want)
		}
	}
}

func TestCertificateRefused(t *testing.T) {
	host, file := configtest.Key(t)
	other, _ := configtest.Key(t)
	ca, _ := configtest.Key(t)
	signed := func(change func(*ssh.Certificate)) string {
		c := configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "files.example.com")
		change(c)
		configtest.Certify(t, ca, c)
		return configtest.Line(c)
	}
	good := signed(func(*ssh.Certificate) {})
	rsaCA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sha1, err := ssh.NewSignerWithAlgorithms(configtest.Signer(t, rsaCA).(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	shortCA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	forged := configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "files.example.com")
	forged.ValidPrincipals = []string{"other.example.com"}
	for name, tc := range map[string]struct{ line, say string }{
		"nothing":         {"ssh-ed25519-cert-v01@openssh.com", "must be one line"},
		"plain key":       {configtest.Line(host.PublicKey()), "without a CA's signature"},
		"two lines":       {good + "\n" + good, "must be one line"},
		"options":         {`from="10.0.0.0/8" ` + good, "must be one line"},
		"of a user":       {configtest.Line(configtest.Certificate(t, ca, ssh.UserCert, host.PublicKey(), "ada")), "not a host certificate"},
		"another key":     {configtest.Line(configtest.Certificate(t, ca, ssh.HostCert, other.PublicKey(), "h")), "it certifies the key SHA256:"},
		"critical option": {signed(func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "x"} }), "critical options"},
		"no time":         {signed(func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter }), "ends before it begins"},
		"forged":          {configtest.Line(forged), "does not verify"},
		"SHA-1":           {configtest.Line(configtest.Certificate(t, sha1, ssh.HostCert, host.PublicKey(), "h")), "does not allow CA signatures with ssh-rsa"},
		"short CA":        {configtest.Line(configtest.Certificate(t, configtest.Signer(t, shortCA), ssh.HostCert, host.PublicKey(), "h")), "too short"},
	} {
		_, err := Load([][]byte{file}, []config.HostKey{{Certificate: tc.line}}, modern(t))
		if err == nil || !strings.HasPrefix(err.Error(), "host key 0: certificate: ") || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, line := range []string{good, good + "\n", good + " comment", signed(func(c *ssh.Certificate) { c.ValidPrincipals = nil })} {
		if _, err := Load([][]byte{file}, []config.HostKey{{Certificate: line}}, modern(t)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// TestCertificateTime: a certificate is used only within its validity period; its key always.
func TestCertificateTime(t *testing.T) {
	host, file := configtest.Key(t)
	ca, _ := configtest.Key(t)
	c := configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "h")
	forever := configtest.Certificate(t, ca, ssh.HostCert, host.PublicKey(), "h")
	forever.ValidAfter, forever.ValidBefore = 0, ssh.CertTimeInfinity
	configtest.Certify(t, ca, forever)
	begin, end := time.Unix(int64(c.ValidAfter), 0), time.Unix(int64(c.ValidBefore), 0)
	for _, tc := range []struct {
		c    *ssh.Certificate
		at   time.Time
		want int
	}{
		{c, begin.Add(-time.Second), 1},
		{c, begin, 2},
		{c, end.Add(-time.Second), 2},
		{c, end, 1},
		{forever, time.Unix(-1, 0), 2},
		{forever, end.AddDate(100, 0, 0), 2},
	} {
		set, err := Load([][]byte{file}, []config.HostKey{{Certificate: configtest.Line(tc.c)}}, modern(t))
		if err != nil {
			t.Fatal(err)
		}
		signers := set.Signers(tc.at)
		if len(signers) != tc.want || !bytes.Equal(signers[0].PublicKey().Marshal(), host.PublicKey().Marshal()) {
			t.Errorf("%s: %d signers, want %d", tc.at, len(signers), tc.want)
		}
		if got := announced(t, set.Announcement()); len(got) != 1 || got[0] != string(host.PublicKey().Marshal()) {
			t.Errorf("announced %q, want the plain key alone", got)
		}
	}
}

// TestCertificateFollowsThePolicy: a certificate does not enable an algorithm that the policy excludes for its key, such as
// SHA-1, and none if its key is not used.
func TestCertificateFollowsThePolicy(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	_, file := configtest.Key(t)
	ca, _ := configtest.Key(t)
	line := configtest.Line(configtest.Certificate(t, ca, ssh.HostCert, configtest.Signer(t, key).PublicKey(), "h"))
	files := [][]byte{file, configtest.PEM(t, key)}
	for _, policy := range cryptopolicy.All() {
		set, err := Load(files, []config.HostKey{{}, {Certificate: line}}, policy)
		if err != nil {
			t.Fatal(err)
		}
		signers := set.Signers(time.Now())
		plain, certified := signers[1], signers[2]
		if certified.PublicKey().Type() != ssh.CertAlgoRSAv01 || !slices.Equal(plain.Algorithms(), certified.Algorithms()) {
			t.Errorf("%s: %s with %v, want %v", policy.Name, certified.PublicKey().Type(), certified.Algorithms(), plain.Algorithms())
		}
	}
	set, err := Load(files, []config.HostKey{{}, {State: config.HostKeyAdvertised, Certificate: line}}, modern(t))
	if err != nil || len(set.Signers(time.Now())) != 1 {
		t.Errorf("%v, %d signers, want that of the active key", err, len(set.Signers(time.Now())))
	}
}
