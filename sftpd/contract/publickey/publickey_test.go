package publickey

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func public(t testing.TB, key any) ssh.PublicKey {
	t.Helper()
	k, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func line(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }

// rsaOf returns an RSA key of a given size; its modulus has that many bits but is not a product of two primes.
func rsaOf(t testing.TB, bits uint) ssh.PublicKey {
	t.Helper()
	return public(t, &rsa.PublicKey{N: odd(bits), E: 65537})
}

func odd(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.Add(n, big.NewInt(1))
}

func ed(t testing.TB) (ssh.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public(t, pub), private
}

func skKeys(t testing.TB) []ssh.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var keys []ssh.PublicKey
	for _, wire := range [][]byte{
		ssh.Marshal(struct{ T, K, A string }{ssh.KeyAlgoSKED25519, string(pub), "ssh:"}),
		ssh.Marshal(struct{ T, C, K, A string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(point), "ssh:"}),
	} {
		k, err := ssh.ParsePublicKey(wire)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func TestAdmitted(t *testing.T) {
	key, _ := ed(t)
	keys := append(skKeys(t), key, rsaOf(t, 2048), rsaOf(t, 8192))
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		ec, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, public(t, &ec.PublicKey))
	}
	sizes := map[string][]int32{}
	for _, k := range keys {
		got, err := ParseLine(line(k) + " someone@somewhere \n")
		if err != nil {
			t.Errorf("%s: %v", k.Type(), err)
			continue
		}
		if got.Line() != line(k) || got.Fingerprint() != ssh.FingerprintSHA256(k) || got.From != nil {
			t.Errorf("%s: %+v", k.Type(), got)
		}
		if got.Comment != "someone@somewhere" {
			t.Errorf("%s: comment %q", k.Type(), got.Comment)
		}
		sizes[k.Type()] = append(sizes[k.Type()], Size(k))
	}
	want := map[string][]int32{
		ssh.KeyAlgoSKED25519: {256}, ssh.KeyAlgoSKECDSA256: {256}, ssh.KeyAlgoED25519: {256}, ssh.KeyAlgoRSA: {2048, 8192},
		ssh.KeyAlgoECDSA256: {256}, ssh.KeyAlgoECDSA384: {384}, ssh.KeyAlgoECDSA521: {521},
	}
	if !reflect.DeepEqual(sizes, want) {
		t.Errorf("sizes %v, want %v", sizes, want)
	}
}

func TestRefusedWithAReason(t *testing.T) {
	key, private := ed(t)
	good := line(key)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{"acme"}}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	old := "ssh-dss " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct {
		Type       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", odd(1024), odd(160), big.NewInt(2), big.NewInt(4)}))
	for name, tc := range map[string]struct{ line, say string }{
		"nothing":            {"", "must look like"},
		"a comment":          {"# key of acme", "must look like"},
		"words":              {"please add my key", "must look like"},
		"cut off":            {good[:len(good)-10], `after "ssh-ed25519" is damaged`},
		"typo":               {strings.Replace(good, "AAAAC3", "AAAC3", 1), `after "ssh-ed25519" is damaged`},
		"typo in the type":   {strings.Replace(good, "ssh-ed25519", "ssh-ed25591", 1), "not a public key"},
		"no key":             {"ssh-ed25519", "is damaged"},
		"other type inside":  {strings.Replace(good, "ssh-ed25519 ", "ssh-rsa ", 1), ""},
		"private key":        {string(pem.EncodeToMemory(block)), "this is a private key"},
		"two lines":          {good + "\n" + good, "more than one line"},
		"too long":           {good + strings.Repeat(" x", MaxLineLength), "longer than 8192 bytes"},
		"short RSA":          {line(rsaOf(t, 1024)), "1024 bits is too short: at least 2048"},
		"almost":             {line(rsaOf(t, 2047)), "2047 bits is too short"},
		"long RSA":           {line(rsaOf(t, 8193)), "8193 bits is too long: at most 8192"},
		"DSA":                {old, "ssh-dss are not supported"},
		"certificate":        {line(certificate), "ssh-ed25519-cert-v01@openssh.com are not supported"},
		"restrict":           {"restrict " + good, `option "restrict" is not supported`},
		"command":            {`command="id" ` + good, `option "command" is not supported`},
		"from and command":   {`from="192.0.2.1",command="id" ` + good, `option "command" is not supported`},
		"from a name":        {`from="*.example.com" ` + good, "from= is not supported: its entry 1 is neither an address nor a network"},
		"from not":           {`from="!192.0.2.1,192.0.2.0/24" ` + good, "its entry 1 is neither"},
		"from a name later":  {`from="192.0.2.1,::1,partner" ` + good, "its entry 3 is neither"},
		"unknown option":     {`sk-proj-option="id" ` + good, "it has an unsupported option"},
		"option in capitals": {`COMMAND="id" ` + good, `option "command" is not supported`},
		"from twice":         {`from="192.0.2.1",from="0.0.0.0/0" ` + good, "from= is given twice"},
		"options, no type":   {`from="192.0.2.1" ` + strings.TrimPrefix(good, "ssh-ed25519 "), "not a public key"},
		"from nothing":       {`from="" ` + good, "its entry 1 is neither"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParseLine(tc.line)
			if tc.say == "" { // the parser takes the type from the key itself
				if err == nil && k.Type() != key.Type() {
					t.Errorf("%v", k)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), good[20:60]) {
				t.Errorf("the message repeats the key: %v", err)
			}
		})
	}
}

func TestFrom(t *testing.T) {
	key, _ := ed(t)
	for text, want := range map[string][]string{
		`from="192.0.2.1"`:                    {"192.0.2.1/32"},
		`FROM="192.0.2.77/24, 2001:db8::/32"`: {"192.0.2.0/24", "2001:db8::/32"},
		`from="::1"`:                          {"::1/128"},
	} {
		k, err := ParseLine(text + " " + line(key))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var prefixes []netip.Prefix
		for _, w := range want {
			prefixes = append(prefixes, netip.MustParsePrefix(w))
		}
		if !slices.Equal(k.From, prefixes) {
			t.Errorf("%s: %v", text, k.From)
		}
	}
}

func TestParseFile(t *testing.T) {
	one, _ := ed(t)
	two, _ := ed(t)
	keys, err := parseFile([]byte("# acme\n\n" + line(one) + " a\r\n  " + line(two) + "\n"))
	if err != nil || len(keys) != 2 || keys[1].Line() != line(two) {
		t.Errorf("%v, %v", keys, err)
	}
	for _, tc := range []struct{ file, say string }{
		{line(one) + "\nnonsense\n", "line 2: not a public key"},
		{"\n\n" + line(rsaOf(t, 1024)), "line 3: RSA key of 1024 bits"},
		{line(one) + "\n" + strings.Repeat("x", MaxLineLength+1), "line 2: longer than"},
	} {
		if _, err := parseFile([]byte(tc.file)); err == nil || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("want %s, have %v", tc.say, err)
		}
	}
	if keys, err := parseFile(nil); len(keys) != 0 || err != nil {
		t.Errorf("empty file: %v, %v", keys, err)
	}
}

// Only the first lines of a long file are parsed; the rest are counted, whatever they contain.
func TestParseFirst(t *testing.T) {
	one, _ := ed(t)
	two, _ := ed(t)
	file := []byte("# acme\n" + line(one) + "\n\n" + line(two) + "\n# more\nnonsense\n" + line(one) + "\n")
	for limit, want := range map[int]int{0: 4, 1: 3, 2: 2} {
		keys, further, err := ParseFirst(file, limit)
		if err != nil || len(keys) != limit || further != want {
			t.Errorf("up to %d: %d keys, %d further, %v", limit, len(keys), further, err)
		}
	}
	if keys, further, err := ParseFirst(file, 3); err == nil || !strings.HasPrefix(err.Error(), "line 6: ") || keys != nil || further != 0 {
		t.Errorf("%v, %d, %v", keys, further, err)
	}
	if _, _, err := ParseFirst(append(file, strings.Repeat("x", MaxLineLength)...), 1); err == nil {
		t.Error("a line that is too long was counted")
	}
}
