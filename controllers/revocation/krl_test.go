package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// builder writes KRLs as described in PROTOCOL.krl, valid and invalid ones.
type builder struct{ cryptobyte.Builder }

func newKRL() *builder {
	b := &builder{}
	b.AddBytes([]byte(magic))
	b.AddUint32(1) // of the format
	b.AddUint64(7) // of the KRL
	b.AddUint64(1764000000)
	b.AddUint64(0) // flags
	b.str(nil)
	b.str([]byte("a comment"))
	return b
}

func (b *builder) str(data []byte) {
	b.AddUint32(uint32(len(data)))
	b.AddBytes(data)
}

func (b *builder) section(kind uint8, data []byte) *builder {
	b.AddUint8(kind)
	b.str(data)
	return b
}

func strs(items ...string) []byte {
	b := &builder{}
	for _, i := range items {
		b.str([]byte(i))
	}
	return b.BytesOrPanic()
}

func numbers(list ...uint64) []byte {
	b := &builder{}
	for _, n := range list {
		b.AddUint64(n)
	}
	return b.BytesOrPanic()
}

// ofCA is the body of a certificate section, for any CA.
func ofCA(kind uint8, data []byte) []byte {
	b := &builder{}
	b.AddBytes(strs("", ""))
	return b.section(kind, data).BytesOrPanic()
}

func sumOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// What a KRL revokes for a CA names the CA by its fingerprint, for each kind of entry, and the next section names its own CA.
func TestKRLOfACA(t *testing.T) {
	blobs, fingers := [][]byte{}, []string{}
	for range 2 {
		signer, _ := configtest.Key(t)
		blobs = append(blobs, signer.PublicKey().Marshal())
		fingers = append(fingers, ssh.FingerprintSHA256(signer.PublicKey()))
	}
	section := func(ca []byte, parts ...[]byte) []byte {
		b := &builder{}
		b.AddBytes(strs(string(ca), ""))
		for _, p := range parts {
			b.AddBytes(p)
		}
		return b.BytesOrPanic()
	}
	part := func(kind uint8, data []byte) []byte { return (&builder{}).section(kind, data).BytesOrPanic() }
	all := [][]byte{
		part(0x20, numbers(3, 9)), part(0x21, numbers(10, 12)), part(0x22, append(numbers(100), strs("\x06")...)), part(0x23, strs("a", "b")),
	}
	revokedOf := func(ca string) []config.RevokedCertificate {
		return []config.RevokedCertificate{
			{CA: ca, Serial: 3},
			{CA: ca, Serial: 9},
			{CA: ca, Serial: 10, LastSerial: 12},
			{CA: ca, Serial: 101, LastSerial: 102},
			{CA: ca, KeyID: "a"},
			{CA: ca, KeyID: "b"},
		}
	}
	got, err := Parse(newKRL().section(1, section(blobs[0], all...)).section(1, section(nil, all...)).section(1, section(blobs[1], all...)).BytesOrPanic())
	want := slices.Concat(revokedOf(fingers[0]), revokedOf(""), revokedOf(fingers[1]))
	if err != nil || !reflect.DeepEqual(got.Certificates, want) || got.Keys != nil {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	for n := range all { // any part, truncated
		cut := section(blobs[0], all[:n+1]...)
		for less := 1; less < len(all[n]); less++ {
			if r, err := Parse(newKRL().section(1, cut[:len(cut)-less]).BytesOrPanic()); err == nil {
				t.Errorf("part %d without its last %d bytes is read as %+v", n, less, r)
			}
		}
	}
	for n := 1; n < len(section(blobs[0])); n++ {
		if r, err := Parse(newKRL().section(1, section(blobs[0])[:n]).BytesOrPanic()); err == nil {
			t.Errorf("%d bytes of a CA are read as %+v", n, r)
		}
	}
}

// A list may also contain 4096 key IDs.
func TestMostKeyIDs(t *testing.T) {
	ids := make([]string, 4097)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	if r, err := Parse(newKRL().section(1, ofCA(0x23, strs(ids[:4096]...))).BytesOrPanic()); err != nil || len(r.Certificates) != 4096 {
		t.Errorf("%d, %v", len(r.Certificates), err)
	}
	if r, err := Parse(newKRL().section(1, ofCA(0x23, strs(ids...))).BytesOrPanic()); err == nil {
		t.Errorf("%d key IDs are held", len(r.Certificates))
	}
}

// A list may contain 4096 keys and certificates together, and not one more.
func TestMostThatAListRevokes(t *testing.T) {
	for _, keys := range []int{0, 1, 4095, 4096} {
		certificates := make([]uint64, 4096-keys)
		for i := range certificates {
			certificates[i] = uint64(i + 1)
		}
		list := func(more int) []byte {
			return newKRL().section(1, ofCA(0x20, numbers(certificates...))).section(2, strs(make([]string, keys+more)...)).BytesOrPanic()
		}
		if r, err := Parse(list(0)); err != nil || len(r.Keys) != keys || len(r.Certificates) != 4096-keys {
			t.Errorf("%d keys: %d and %d, %v", keys, len(r.Keys), len(r.Certificates), err)
		}
		if r, err := Parse(list(1)); err == nil || len(r.Keys)+len(r.Certificates) > 0 {
			t.Errorf("%d keys and one more: %d and %d", keys, len(r.Keys), len(r.Certificates))
		}
	}
	if r, err := Parse([]byte(strings.Repeat(otherFinger+"\n", 4096))); err != nil || len(r.Keys) != 4096 {
		t.Errorf("4096 lines: %d, %v", len(r.Keys), err)
	}
}

// A truncated KRL is refused, unless it is cut between two sections, where it cannot be distinguished from a complete one.
func TestTruncatedKRL(t *testing.T) {
	sections := []struct {
		kind uint8
		body []byte
	}{
		{1, ofCA(0x20, numbers(3, 9))},
		{1, ofCA(0x21, numbers(3, 9))},
		{1, ofCA(0x22, append(numbers(100), strs("\x01\x0e")...))},
		{1, ofCA(0x23, strs("a", "b"))},
		{1, ofCA(0x39, append(strs("x"), append([]byte{0}, strs("y")...)...))},
		{2, strs("a", "b")},
		{5, strs(strings.Repeat("x", 32))},
		{255, append(strs("x"), append([]byte{0}, strs("y")...)...)},
	}
	header := newKRL().BytesOrPanic()
	for n := range header {
		if n < len(magic) {
			continue // lines of text
		}
		if _, err := Parse(header[:n]); err == nil {
			t.Errorf("%d bytes of the header are read", n)
		}
	}
	for _, s := range sections {
		whole := newKRL().section(s.kind, s.body).BytesOrPanic()
		if _, err := Parse(whole); err != nil {
			t.Errorf("section %d: %v", s.kind, err)
		}
		for n := len(header) + 1; n < len(whole); n++ {
			if r, err := Parse(whole[:n]); err == nil {
				t.Errorf("section %d: %d of %d bytes are read as %+v", s.kind, n, len(whole), r)
			}
		}
		// Also a section whose length is right, but whose body is incomplete.
		for n := range len(s.body) {
			r, err := Parse(newKRL().section(s.kind, s.body[:n]).BytesOrPanic())
			if all, _ := Parse(whole); err == nil && reflect.DeepEqual(r, all) && len(all.Keys)+len(all.Certificates) > 0 {
				t.Errorf("section %d: %d of %d bytes of its body revoke all", s.kind, n, len(s.body))
			}
		}
	}
	if _, err := Parse(append([]byte(magic), 0, 0, 0, 2)); err == nil || !strings.Contains(err.Error(), "has format 2") {
		t.Errorf("format 2: %v", err)
	}
}

func TestParseKRL(t *testing.T) {
	certificates := func(list ...config.RevokedCertificate) config.Revoked { return config.Revoked{Certificates: list} }
	for name, tc := range map[string]struct {
		krl  *builder
		want config.Revoked
		err  string
	}{
		"empty":              {newKRL(), config.Revoked{}, ""},
		"serials":            {newKRL().section(1, ofCA(0x20, numbers(3, 9))), certificates(config.RevokedCertificate{Serial: 3}, config.RevokedCertificate{Serial: 9}), ""},
		"a range":            {newKRL().section(1, ofCA(0x21, numbers(3, 1<<64-1))), certificates(config.RevokedCertificate{Serial: 3, LastSerial: 1<<64 - 1}), ""},
		"a range of one":     {newKRL().section(1, ofCA(0x21, numbers(3, 3))), certificates(config.RevokedCertificate{Serial: 3}), ""},
		"a bitmap":           {newKRL().section(1, ofCA(0x22, append(numbers(100), strs("\x01\x0e")...))), certificates(config.RevokedCertificate{Serial: 101, LastSerial: 103}, config.RevokedCertificate{Serial: 108}), ""},
		"key IDs":            {newKRL().section(1, ofCA(0x23, strs("a", "b"))), certificates(config.RevokedCertificate{KeyID: "a"}, config.RevokedCertificate{KeyID: "b"}), ""},
		"a signature":        {newKRL().section(4, []byte("anything")), config.Revoked{}, ""},
		"an extension":       {newKRL().section(255, append(strs("x"), append([]byte{0}, strs("y")...)...)), config.Revoked{}, ""},
		"a critical one":     {newKRL().section(255, append(strs("x"), append([]byte{1}, strs("y")...)...)), config.Revoked{}, "has an unsupported critical extension"},
		"one of a CA":        {newKRL().section(1, ofCA(0x39, append(strs("x"), append([]byte{1}, strs("y")...)...))), config.Revoked{}, "has an unsupported critical extension"},
		"critical otherwise": {newKRL().section(255, append(strs("x"), append([]byte{0x80}, strs("y")...)...)), config.Revoked{}, "critical extension"},
		"one and more":       {newKRL().section(255, append(strs("x"), append([]byte{0}, strs("y", "z")...)...)), config.Revoked{}, "damaged"},
		"explicit keys":      {newKRL().section(2, strs("a", "b")), config.Revoked{Keys: []string{sumOf("a"), sumOf("b")}}, ""},
		"hashes":             {newKRL().section(5, strs(strings.Repeat("\x00", 32))), config.Revoked{Keys: []string{"SHA256:" + strings.Repeat("A", 43)}}, ""},
		"a long hash":        {newKRL().section(5, strs(strings.Repeat("x", 33))), config.Revoked{}, "damaged"},
		"several sections": {
			newKRL().section(2, strs("a")).section(1, ofCA(0x20, numbers(3))).section(4, nil).section(2, strs("b")),
			config.Revoked{Keys: []string{sumOf("a"), sumOf("b")}, Certificates: []config.RevokedCertificate{{Serial: 3}}},
			"",
		},
		"a range and more":  {newKRL().section(1, ofCA(0x21, numbers(3, 4, 5))), config.Revoked{}, "damaged"},
		"half a key":        {newKRL().section(2, append(strs("a"), 0, 0)), config.Revoked{}, "damaged"},
		"half a hash":       {newKRL().section(5, append(strs(strings.Repeat("x", 32)), 0, 0, 0, 32, 'x')), config.Revoked{}, "damaged"},
		"half a key ID":     {newKRL().section(1, ofCA(0x23, append(strs("a"), 0, 0, 0, 2, 'b'))), config.Revoked{}, "damaged"},
		"half a range":      {newKRL().section(1, ofCA(0x21, numbers(3))), config.Revoked{}, "damaged"},
		"an empty bitmap":   {newKRL().section(1, ofCA(0x22, append(numbers(1<<64-1), strs("")...))), config.Revoked{}, ""},
		"a bitmap and more": {newKRL().section(1, ofCA(0x22, append(numbers(100), strs("\x01", "")...))), config.Revoked{}, "damaged"},
		"a bitmap's ends":   {newKRL().section(1, ofCA(0x22, append(numbers(1), strs("\x40\x00\x01")...))), certificates(config.RevokedCertificate{Serial: 1}, config.RevokedCertificate{Serial: 23}), ""},
		"the highest bitmap": {
			newKRL().section(1, ofCA(0x22, append(numbers(1<<64-1-8), strs("\x01")...))), certificates(config.RevokedCertificate{Serial: 1<<64 - 9}), "",
		},
		"a full bitmap":        {newKRL().section(1, ofCA(0x22, append(numbers(1), strs("\x7f\xff")...))), certificates(config.RevokedCertificate{Serial: 1, LastSerial: 15}), ""},
		"a bitmap of serial 0": {newKRL().section(1, ofCA(0x22, append(numbers(0), strs("\x01")...))), config.Revoked{}, "damaged"},
		"the longest key ID":   {newKRL().section(1, ofCA(0x23, strs(strings.Repeat("x", 256)))), certificates(config.RevokedCertificate{KeyID: strings.Repeat("x", 256)}), ""},
		"an extension of a CA": {newKRL().section(1, ofCA(0x39, append(strs("x"), append([]byte{0}, strs("y")...)...))), config.Revoked{}, ""},
		"SHA-1":                {newKRL().section(3, strs("12345678901234567890")), config.Revoked{}, "SHA-1 fingerprints, which revoke nothing here"},
		"a short hash":         {newKRL().section(5, strs("1234")), config.Revoked{}, "damaged"},
		"another section":      {newKRL().section(9, nil), config.Revoked{}, "section of type 9"},
		"another of a CA":      {newKRL().section(1, ofCA(0x24, nil)), config.Revoked{}, "certificate section of type 36"},
		"a damaged CA":         {newKRL().section(1, strs("ca", "")), config.Revoked{}, "names a CA whose key is damaged"},
		"serial 0":             {newKRL().section(1, ofCA(0x20, numbers(0))), config.Revoked{}, "damaged"},
		"half a serial":        {newKRL().section(1, ofCA(0x20, []byte{1, 2, 3})), config.Revoked{}, "damaged"},
		"a range down":         {newKRL().section(1, ofCA(0x21, numbers(3, 2))), config.Revoked{}, "damaged"},
		"a bitmap below 0":     {newKRL().section(1, ofCA(0x22, append(numbers(100), strs("\x80")...))), config.Revoked{}, "damaged"},
		"a bitmap too far":     {newKRL().section(1, ofCA(0x22, append(numbers(1<<64-3), strs("\x01")...))), config.Revoked{}, "damaged"},
		"no key ID":            {newKRL().section(1, ofCA(0x23, strs(""))), config.Revoked{}, "key ID of 0 bytes"},
		"a long key ID":        {newKRL().section(1, ofCA(0x23, strs(strings.Repeat("x", 257)))), config.Revoked{}, "key ID of 257 bytes"},
		"no text":              {newKRL().section(1, ofCA(0x23, strs("\xff"))), config.Revoked{}, "key ID that is not valid UTF-8"},
		"too many":             {newKRL().section(1, ofCA(0x22, append(numbers(1), strs("\x01"+strings.Repeat("\x55", 2000))...))), config.Revoked{}, "revokes more than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.krl.BytesOrPanic())
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, %v; want %q", got, err, tc.err)
				}
				tc.want = config.Revoked{}
			} else if err != nil {
				t.Error(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// The KRLs are OpenSSH's own, and each key and certificate is compared with its verdict.
func TestAgainstOpenSSH(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Fatal("ssh-keygen is needed; hack/install-packages.sh installs it")
	}
	dir := t.TempDir()
	keygen := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "ssh-keygen", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) {
		if out, err := keygen(args...); err != nil {
			t.Fatalf("ssh-keygen %q: %v: %s", args, err, out)
		}
	}
	var subjects []string
	for _, name := range []string{"ca", "other-ca", "ada", "bob", "eve"} {
		must("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
		subjects = append(subjects, name+".pub")
	}
	certificate := func(ca, key, id string, serial int) {
		name := fmt.Sprintf("%s-%s-%s-%d", key, ca, id, serial)
		copyFile(t, dir, key+".pub", name+".pub")
		must("-q", "-s", ca, "-I", id, "-n", key, "-z", strconv.Itoa(serial), name+".pub")
		subjects = append(subjects, name+"-cert.pub")
	}
	for _, ca := range []string{"ca", "other-ca"} {
		for _, serial := range []int{0, 1, 5, 6, 7, 8, 100, 1000, 1001} {
			certificate(ca, "bob", "bob", serial)
		}
		certificate(ca, "eve", "eve@corp", 3)
	}
	certificate("ca", "ada", "ada", 3)

	ed := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
	for name, tc := range map[string]struct{ spec, ca string }{
		"a key":               {ed("ada.pub"), "ca.pub"},
		"a CA":                {"key: " + ed("ca.pub"), "ca.pub"},
		"a hash":              {"hash: " + fingerprintOf(t, ed("ada.pub")), "ca.pub"},
		"serials":             {"serial: 1\nserial: 6\nserial: 1001", "ca.pub"},
		"many serials":        {"serial: 1\nserial: 3\nserial: 5\nserial: 7\nserial: 9\nserial: 11-12\nserial: 15\nserial: 18\nserial: 21", "ca.pub"},
		"a range":             {"serial: 6-900", "ca.pub"},
		"a range to the end":  {"serial: 100-18446744073709551615", "ca.pub"},
		"key IDs":             {"id: eve@corp\nid: nobody", "ca.pub"}, // words: ok, a name
		"key IDs of all CAs":  {"id: eve@corp", "none"},
		"serials of all CAs":  {"serial: 5-8", "none"},
		"everything":          {"serial: 1-2\nid: bob\n" + ed("eve.pub"), "ca.pub"},
		"a certificate":       {ed("bob-ca-bob-7-cert.pub"), "ca.pub"},
		"one without a count": {ed("bob-ca-bob-0-cert.pub"), "ca.pub"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "spec"), []byte(tc.spec+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			must("-q", "-k", "-f", "krl", "-s", tc.ca, "spec")
			data, err := os.ReadFile(filepath.Join(dir, "krl"))
			if err != nil {
				t.Fatal(err)
			}
			revoked, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			said, ours := 0, snapshotOf(t, revoked)
			for _, subject := range subjects {
				out, err := keygen("-Q", "-f", "krl", subject)
				theirs := strings.Contains(out, "REVOKED")
				if (err != nil) != theirs {
					t.Fatalf("ssh-keygen -Q %s: %v: %s", subject, err, out)
				}
				if theirs {
					said++
				}
				if got := judge(t, ours, ed(subject)); got != theirs {
					t.Errorf("%s: revoked %v, OpenSSH says %v", subject, got, theirs)
				}
			}
			if said == 0 || said == len(subjects) {
				t.Errorf("OpenSSH says the same of all %d", len(subjects))
			}
		})
	}
}

// judge decides as the daemon does.
func judge(t *testing.T, s *snapshot.Snapshot, line string) bool {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := key.(*ssh.Certificate)
	if !ok {
		return s.KeyRevoked(ssh.FingerprintSHA256(key))
	}
	ca := ssh.FingerprintSHA256(c.SignatureKey)
	return s.KeyRevoked(ssh.FingerprintSHA256(c.Key)) || s.KeyRevoked(ca) || s.CertificateRevoked(ca, c.Serial, c.KeyId)
}

func fingerprintOf(t *testing.T, line string) string {
	t.Helper()
	fingerprint, err := Fingerprint(line)
	if err != nil {
		t.Fatal(err)
	}
	return fingerprint
}

func copyFile(t *testing.T, dir, from, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, to), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzParse: for any list, what is revoked are entries that the daemon accepts; a list that is not read completely revokes
// nothing.
func FuzzParse(f *testing.F) {
	f.Add([]byte("# comment\n" + keyLine + " lost\n" + otherFinger + "\n"))
	f.Add(newKRL().section(1, ofCA(0x22, append(numbers(100), strs("\x01\x0e")...))).section(2, strs("a key")).BytesOrPanic())
	f.Add(newKRL().section(1, ofCA(0x21, numbers(3, 9))).section(5, strs(strings.Repeat("x", 32))).BytesOrPanic())
	f.Add(newKRL().section(1, ofCA(0x23, strs("ada@corp"))).section(255, append(strs("x"), append([]byte{0}, strs("y")...)...)).BytesOrPanic())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			if r.Keys != nil || r.Certificates != nil {
				t.Errorf("%+v with %v", r, err)
			}
			return
		}
		if len(r.Keys)+len(r.Certificates) > config.MaxRevoked {
			t.Errorf("%d entries", len(r.Keys)+len(r.Certificates))
		}
		for _, k := range r.Keys {
			if !fingerprintRE.MatchString(k) {
				t.Errorf("%q is not a fingerprint", k)
			}
		}
		for _, c := range r.Certificates {
			if err := c.Validate(); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if bytes.HasPrefix(data, []byte(magic)) && r.Keys == nil && r.Certificates == nil && len(data) < len(magic)+36 {
			t.Errorf("a KRL without a header")
		}
	})
}

// snapshotOf returns the snapshot that a daemon builds from it.
func snapshotOf(t *testing.T, r config.Revoked) *snapshot.Snapshot {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.Revoked = r
	dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Build(files, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
