package factor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

func TestParse(t *testing.T) {
	for text, say := range map[string]string{
		"publickey":                           "",
		"password":                            "",
		"publickey,publickey":                 "",
		"password,publickey":                  "",
		"publickey,keyboard-interactive:totp": "",
		"publickey,publickey,password,keyboard-interactive:totp": "",
		"":                                      "is no step",
		"publickey,":                            "is no step",
		"publickey, password":                   `" password"`,
		"PublicKey":                             "is no step",
		"publickey,keyboard-interactive":        "they are publickey, password and keyboard-interactive:totp",
		"keyboard-interactive:totp":             "has to come after",
		"keyboard-interactive:totp,publickey":   "has to come after",
		"password,password":                     "has password twice",
		strings.Repeat("publickey,", 4) + "any": "has 5 steps",
	} {
		c, err := factor.Parse(text)
		switch {
		case say == "" && (err != nil || c.String() != text):
			t.Errorf("%q: %q, %v", text, c, err)
		case say != "" && (err == nil || !strings.Contains(err.Error(), say)):
			t.Errorf("%q: want an error with %q, have %v", text, say, err)
		}
	}
}

func TestParseSet(t *testing.T) {
	many := slices.Repeat([]string{"password"}, factor.MaxCombinations+1)
	for _, texts := range [][]string{nil, {"password", "password"}, {"password", "none"}, many} {
		if s, err := factor.ParseSet(texts); err == nil {
			t.Errorf("%q is %v", texts, s)
		}
	}
}

// TestProgress walks through the states of a login.
func TestProgress(t *testing.T) {
	const key, secret, code = factor.PublicKey, factor.Password, factor.TOTP
	for _, tc := range []struct {
		set      string // combinations with blanks between them
		done     factor.Combination
		next     factor.Combination
		complete bool
	}{
		{"publickey", nil, factor.Combination{key}, false},
		{"publickey", factor.Combination{key}, nil, true},
		{"publickey", factor.Combination{secret}, nil, false},
		{"publickey password", nil, factor.Combination{key, secret}, false},
		{"publickey password", factor.Combination{secret}, nil, true},
		{"publickey,password", factor.Combination{key}, factor.Combination{secret}, false},
		{"publickey,password", factor.Combination{secret}, nil, false},
		{"publickey,password", factor.Combination{secret, key}, nil, false},
		{"publickey,password", factor.Combination{key, secret}, nil, true},
		{"publickey,publickey", factor.Combination{key}, factor.Combination{key}, false},
		{"publickey,publickey", factor.Combination{key, key}, nil, true},
		{"publickey,publickey", factor.Combination{key, key, key}, nil, false},
		{"publickey,keyboard-interactive:totp publickey,password", factor.Combination{key}, factor.Combination{code, secret}, false},
		{"publickey,keyboard-interactive:totp publickey,password", factor.Combination{key, code}, nil, true},
		{"publickey,password,keyboard-interactive:totp password,publickey", factor.Combination{key, secret}, factor.Combination{code}, false},
		{"publickey publickey,password", factor.Combination{key}, factor.Combination{secret}, true},
	} {
		s, err := factor.ParseSet(strings.Fields(tc.set))
		if err != nil {
			t.Fatal(err)
		}
		if next := s.Next(tc.done); !slices.Equal(next, tc.next) || s.Complete(tc.done) != tc.complete {
			t.Errorf("%s after %q: %q, complete %v; want %q, %v", tc.set, tc.done, next, s.Complete(tc.done), tc.next, tc.complete)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		have, want string
		covers     bool
	}{
		{"publickey", "publickey", true},
		{"publickey,password", "publickey", true},
		{"publickey,password", "password", true},
		{"publickey,password", "publickey,password", true},
		{"publickey,password,keyboard-interactive:totp", "publickey,keyboard-interactive:totp", true},
		{"publickey,publickey", "publickey,publickey", true},
		{"publickey", "publickey,publickey", false},
		{"publickey,password", "password,publickey", false},
		{"publickey", "password", false},
	} {
		have, err := factor.Parse(tc.have)
		if err != nil {
			t.Fatal(err)
		}
		want, err := factor.ParseSet([]string{tc.want})
		if err != nil {
			t.Fatal(err)
		}
		if have.Covers(want[0]) != tc.covers || want.CoveredBy(have) != tc.covers {
			t.Errorf("%s covers %s: want %v", tc.have, tc.want, tc.covers)
		}
	}
}
