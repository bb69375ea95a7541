package totp_test

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

// TestVectors checks the test vectors of RFC 6238, appendix B.
func TestVectors(t *testing.T) {
	const seed = "1234567890"
	secrets := map[string]string{"SHA1": strings.Repeat(seed, 2), "SHA256": strings.Repeat(seed, 4)[:32], "SHA512": strings.Repeat(seed, 7)[:64]}
	for at, codes := range map[int64]map[string]string{
		59:          {"SHA1": "94287082", "SHA256": "46119246", "SHA512": "90693936"},
		1111111109:  {"SHA1": "07081804", "SHA256": "68084774", "SHA512": "25091201"},
		1111111111:  {"SHA1": "14050471", "SHA256": "67062674", "SHA512": "99943326"},
		1234567890:  {"SHA1": "89005924", "SHA256": "91819424", "SHA512": "93441116"},
		2000000000:  {"SHA1": "69279037", "SHA256": "90698825", "SHA512": "38618901"},
		20000000000: {"SHA1": "65353130", "SHA256": "77737706", "SHA512": "47863826"},
	} {
		for algorithm, want := range codes {
			k, err := totp.New(base32.StdEncoding.EncodeToString([]byte(secrets[algorithm])), 8, algorithm)
			if err != nil {
				t.Fatal(err)
			}
			if have := k.Code(totp.Step(time.Unix(at, 0))); have != want {
				t.Errorf("%s at %d: %s, want %s", algorithm, at, have, want)
			}
		}
	}
}

const (
	secret  = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // of 160 bits
	example = "otpauth://totp/Example:ada?secret=" + secret + "&issuer=Example"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ text, want string }{ // want has secret, digits and algorithm, or a part of the error
		{secret, secret + " 6 SHA1"},
		{"gezd gnbv gy3t qojq gezd-gnbv-gy3t-qojq\n", secret + " 6 SHA1"},
		{secret[:26], secret[:26] + " 6 SHA1"},
		{secret[:26] + "======", secret[:26] + " 6 SHA1"},
		{example, secret + " 6 SHA1"},
		{example + "&digits=8&algorithm=SHA-256&period=30\n", secret + " 8 SHA256"},
		{strings.Replace(example, "otpauth://totp", "OTPAUTH://TOTP", 1) + "&algorithm=sha512", secret + " 6 SHA512"},
		{"", "is empty"},
		{"otpauth://totp/x", "is empty"},
		{secret[:16], "80 bits, but at least 128"},
		{strings.Repeat(secret, 8), "160 bytes, but at most 128"},
		{"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ0", "not base32"},
		{strings.Repeat("A", 3000), "3000 bytes"},
		{strings.Replace(example, "totp", "hotp", 1), "type totp"},
		{example + "&digits=7", "codes have 6 or 8 digits"},
		{example + "&digits=six", "not a number"},
		{example + "&period=60", "30 seconds"},
		{example + "&algorithm=MD5", "the algorithm"},
		{example + "&secret=" + secret, "twice"},
		{example + "%", "parameters"},
	} {
		k, err := totp.Parse(tc.text)
		if err != nil {
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%q: %v, want %s", tc.text, err, tc.want)
			}
			continue
		}
		fields := strings.Fields(tc.want)
		if len(fields) != 3 || k.Secret() != fields[0] || string(rune('0'+k.Digits())) != fields[1] || k.Algorithm() != fields[2] {
			t.Errorf("%q: %s %d %s, want %s", tc.text, k.Secret(), k.Digits(), k.Algorithm(), tc.want)
		}
	}
}

func TestURI(t *testing.T) {
	k := totp.Generate()
	if len(k.Secret()) != 32 || k == totp.Generate() {
		t.Fatal("not 160 random bits")
	}
	uri := k.URI("sftp: the demo", "ada@x")
	if want := "otpauth://totp/sftp%20%20the%20demo:ada@x?secret=" + k.Secret() + "&issuer=sftp%20%20the%20demo&algorithm=SHA1&digits=6&period=30"; uri != want {
		t.Errorf("%s, want %s", uri, want)
	}
	if again, err := totp.Parse(uri); err != nil || again != k {
		t.Errorf("%v, %v", again, err)
	}
}

func TestFind(t *testing.T) {
	k := totp.Generate()
	const now = 59_000_000
	for offset := -12; offset <= 12; offset++ {
		code := k.Code(now + int64(offset))
		for _, reach := range []int{1, 10} {
			have, found := k.Find(" "+code[:3]+" "+code[3:]+" ", now, reach)
			// The codes of two steps may be equal, so the nearest step counts.
			if found != (offset >= -reach && offset <= reach) && !(found && k.Code(now+int64(have)) == code) {
				t.Errorf("%d within %d: %d, %v", offset, reach, have, found)
			}
			if found && k.Code(now+int64(have)) != code {
				t.Errorf("%d within %d: found at %d", offset, reach, have)
			}
		}
	}
	for _, code := range []string{"", "x", k.Code(now) + "0", k.Code(now)[1:], strings.Repeat("0", 1<<16)} {
		if at, found := k.Find(code, now, 10); found {
			t.Errorf("%.20q is found at %d", code, at)
		}
	}
	if _, found := (totp.Key{}).Find(totp.Key{}.Code(now), now, 1); found {
		t.Error("no key has a code")
	}
}

// FuzzParse: whatever a Secret contains, it is either refused without being quoted, or parsed into a key whose own URI means
// the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{secret, example, example + "&digits=8&algorithm=SHA256&period=30", "otpauth://totp/%zz?secret=%", "otpauth:?", "==="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := totp.Parse(text)
		if err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("the error has the secret: %v", err)
			}
			return
		}
		if again, err := totp.Parse(k.URI("issuer", "account")); err != nil || again != k {
			t.Errorf("%q: %v, %v", text, again, err)
		}
		if len(k.Code(1)) != k.Digits() {
			t.Errorf("%q: the code %s", text, k.Code(1))
		}
	})
}
