package password

import (
	"strings"
	"testing"
)

// vectors come from libxcrypt 4.4, which provides crypt(3) on Debian 12.
var vectors = []struct{ hash, password, cost string }{
	{"$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", "correct horse", "bcrypt,5"},
	{"$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", "correct horse", "bcrypt,5"},
	{"$6$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/", "correct horse", "sha512,5000"},
	{"$6$rounds=5000$saltstring$.r0X7ub5wGR2v4Xz7svCIozfnlorFh19V89t8KC9Umd81uGhFgsyTRNyzQDXDIm17fFcR9z3z7oBNdsyYBbtm/", "correct horse", "sha512,5000"},
	{"$6$rounds=1400$anotherlongsalts$BIJq9mRCZh1kev4gsEFy0R5hLBKgZM.fwvpxgy31e6bRJqRdXTpSE8TJFJysi3GwDPeX9bz4aZklq669D26ai0", "correct horse", "sha512,1400"},
	{"$6$rounds=1000$x$4i86CDfZmI613BtRhDtF459Bypk.1J6OIJ.ezVIXT5XolX3E5NZr.2QLLWasJ/Sv95Th88AcFBbD8N5/l4JeI0", strings.Repeat("Grüße", 30), "sha512,1000"},
}

func TestForeignHashes(t *testing.T) {
	for _, v := range vectors {
		h, err := Parse(v.hash)
		if err != nil {
			t.Errorf("%s: %v", v.hash, err)
			continue
		}
		if h.String() != v.hash || h.Cost() != v.cost || IsNew(h) {
			t.Errorf("%s reads back as %s, cost %s", v.hash, h, h.Cost())
		}
		if !h.Verify([]byte(v.password)) {
			t.Errorf("%s: a result other than that of crypt(3)", v.hash)
		}
		for _, wrong := range []string{"", "correct horses", strings.ToUpper(v.password), v.password[1:]} {
			if h.Verify([]byte(wrong)) {
				t.Errorf("%s: %q matches", v.hash, wrong)
			}
		}
		decoy := h.Decoy()
		if decoy.Cost() != h.Cost() || decoy.MemoryKiB() != h.MemoryKiB() || decoy.Verify([]byte(v.password)) || decoy.Verify(nil) {
			t.Errorf("%s: the decoy is %s", v.hash, decoy)
		}
		if h.MemoryKiB() < memoryKiB {
			t.Errorf("%s: any number of verifications could run at a time", v.hash)
		}
	}
}

func TestParseRefusesForeignHashes(t *testing.T) {
	const digest = "BIJq9mRCZh1kev4gsEFy0R5hLBKgZM.fwvpxgy31e6bRJqRdXTpSE8TJFJysi3GwDPeX9bz4aZklq669D26ai0"
	for text, say := range map[string]string{
		"correct horse":                  "not a hash of argon2id",
		"$1$salt$qjXMvbEw8oaL.CzflDtaK/": "not a hash of argon2id",
		"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8":    "not a hash of argon2id",
		"$2b$15$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2": "allowed are 4 to 14",
		"$2b$03$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2": "allowed are 4 to 14",
		"$2x$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2": "not a bcrypt hash",
		"$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy":  "not a bcrypt hash",
		"$6$rounds=500001$salt$" + digest:                              "allowed are 1000 to 500000",
		"$6$rounds=999$salt$" + digest:                                 "not a SHA-512 crypt hash",
		"$6$rounds=1000$" + digest:                                     "not a SHA-512 crypt hash",
		"$6$saltsaltsaltsalts$" + digest:                               "not a SHA-512 crypt hash",
		"$6$salt$" + digest[1:]:                                        "not a SHA-512 crypt hash",
		"$6$salt$" + digest + "\n":                                     "not a SHA-512 crypt hash",
	} {
		if h, err := Parse(text); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), digest) {
			t.Errorf("%s: %v, %v", text, h, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5")
	f.Add("$argon2id$v=19$m=8,t=1,p=255$$")
	for _, v := range vectors {
		f.Add(v.hash)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(h.String())
		if err != nil || again.String() != h.String() {
			t.Errorf("%q: %v, %v", text, again, err)
		}
		if h.MemoryKiB() > MaxMemoryKiB || h.Decoy().Cost() != h.Cost() {
			t.Errorf("%q takes %d KiB, its decoy costs %s", text, h.MemoryKiB(), h.Decoy().Cost())
		}
	})
}
