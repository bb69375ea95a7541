package password

import (
	"strings"
	"testing"
)

func TestHash(t *testing.T) {
	text, err := New([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := New([]byte("correct horse"))
	if err != nil || other == text {
		t.Errorf("no salt: %s, %s, %v", text, other, err)
	}
	h, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if h.String() != text {
		t.Errorf("%s reads back as %s", text, h)
	}
	for given, want := range map[string]bool{
		"correct horse": true, "correct horse ": false, "Correct horse": false, "": false, "correct horse\x00": false,
	} {
		if h.Verify([]byte(given)) != want {
			t.Errorf("%q: %v", given, !want)
		}
	}
	if h.MemoryKiB() != 19456 || Decoy().MemoryKiB() != h.MemoryKiB() || Decoy().Cost() != h.Cost() || !IsNew(h) {
		t.Error("the decoy costs something else")
	}
	for _, guess := range []string{"", "x", "correct horse"} {
		if Decoy().Verify([]byte(guess)) {
			t.Errorf("%q matches the decoy", guess)
		}
	}
}

// TestVector checks test vectors of the reference implementation (phc-winner-argon2, src/test.c).
func TestVector(t *testing.T) {
	h, err := Parse("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil {
		t.Fatal(err)
	}
	if !h.Verify([]byte("password")) || h.Verify([]byte("Password")) {
		t.Error("a result other than the reference's")
	}
}

// Hashes at the limits are accepted. One that needs little memory is charged as much as a new one, because the number of
// concurrent verifications is limited by the memory charged.
func TestArgon2idBounds(t *testing.T) {
	const salt, key = "c2FsdHNhbHRzYWx0", "a2V5a2V5a2V5a2V5a2V5a2V5"
	for parameters, counts := range map[string]int64{
		"m=1024,t=1,p=1": 19456, "m=19455,t=2,p=1": 19456, "m=19456,t=2,p=1": 19456, "m=19457,t=2,p=1": 19457, "m=65536,t=16,p=16": 65536,
	} {
		h, err := Parse("$argon2id$v=19$" + parameters + "$" + salt + "$" + key)
		if err != nil || h.MemoryKiB() != counts {
			t.Errorf("%s: %v, %v, want %d KiB", parameters, h, err, counts)
		}
	}
	for _, parameters := range []string{"m=1023,t=1,p=1", "m=65537,t=1,p=1", "m=1024,t=17,p=1", "m=1024,t=1,p=17", "m=1024,t=0,p=1", "m=1024,t=1,p=0", "m=-1,t=1,p=1"} {
		h, err := Parse("$argon2id$v=19$" + parameters + "$" + salt + "$" + key)
		if err == nil || strings.Contains(err.Error(), salt) {
			t.Errorf("%s: %v, %v", parameters, h, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const salt, key = "c2FsdHNhbHRzYWx0", "a2V5a2V5a2V5a2V5a2V5a2V5"
	for name, text := range map[string]string{
		"empty":                   "",
		"argon2i":                 "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"plain text":              "password",
		"other version":           "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"no version":              "$argon2id$m=19456,t=2,p=1$" + salt + "$" + key,
		"no parameters":           "$argon2id$v=19$$" + salt + "$" + key,
		"much memory":             "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + key,
		"memory beyond the bound": "$argon2id$v=19$m=65537,t=2,p=1$" + salt + "$" + key,
		"many threads":            "$argon2id$v=19$m=19456,t=2,p=17$" + salt + "$" + key,
		"no memory":               "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key,
		"many passes":             "$argon2id$v=19$m=19456,t=1000,p=1$" + salt + "$" + key,
		"no passes":               "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"no threads":              "$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"short salt":              "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$" + key,
		"no key":                  "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"short key":               "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$a2V5",
		"long key":                "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + strings.Repeat("a2V5", 50),
		"not base64":              "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$!!!!",
		"something more":          "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "$x",
	} {
		if h, err := Parse(text); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
}
