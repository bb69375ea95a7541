package factor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

func TestParse(t *testing.T) {
	for text, say := range map[string]string{
		"PublicKey":                             "",
		"Password":                              "",
		"PublicKey,PublicKey":                   "",
		"Password,PublicKey":                    "",
		"PublicKey,TOTP":                        "",
		"PublicKey,PublicKey,Password,TOTP":     "",
		"":                                      "is not a step",
		"PublicKey,":                            "is not a step",
		"PublicKey, Password":                   `" Password"`,
		"publickey":                             "is not a step",
		"PublicKey,keyboard-interactive":        "the steps are PublicKey, Password and TOTP",
		"TOTP":                                  "has to come after",
		"TOTP,PublicKey":                        "has to come after",
		"Password,Password":                     "has Password twice",
		strings.Repeat("PublicKey,", 4) + "any": "has 5 steps",
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
	many := slices.Repeat([]string{"Password"}, factor.MaxCombinations+1)
	for _, texts := range [][]string{nil, {"Password", "Password"}, {"Password", "none"}, many} {
		if s, err := factor.ParseSet(texts); err == nil {
			t.Errorf("%q is %v", texts, s)
		}
	}
}

// TestProgress walks through the states of a login.
func TestProgress(t *testing.T) {
	const key, secret, code = factor.PublicKey, factor.Password, factor.TOTP
	for _, tc := range []struct {
		set      string // combinations, separated by spaces
		done     factor.Combination
		next     factor.Combination
		complete bool
	}{
		{"PublicKey", nil, factor.Combination{key}, false},
		{"PublicKey", factor.Combination{key}, nil, true},
		{"PublicKey", factor.Combination{secret}, nil, false},
		{"PublicKey Password", nil, factor.Combination{key, secret}, false},
		{"PublicKey Password", factor.Combination{secret}, nil, true},
		{"PublicKey,Password", factor.Combination{key}, factor.Combination{secret}, false},
		{"PublicKey,Password", factor.Combination{secret}, nil, false},
		{"PublicKey,Password", factor.Combination{secret, key}, nil, false},
		{"PublicKey,Password", factor.Combination{key, secret}, nil, true},
		{"PublicKey,PublicKey", factor.Combination{key}, factor.Combination{key}, false},
		{"PublicKey,PublicKey", factor.Combination{key, key}, nil, true},
		{"PublicKey,PublicKey", factor.Combination{key, key, key}, nil, false},
		{"PublicKey,TOTP PublicKey,Password", factor.Combination{key}, factor.Combination{code, secret}, false},
		{"PublicKey,TOTP PublicKey,Password", factor.Combination{key, code}, nil, true},
		{"PublicKey,Password,TOTP Password,PublicKey", factor.Combination{key, secret}, factor.Combination{code}, false},
		{"PublicKey PublicKey,Password", factor.Combination{key}, factor.Combination{secret}, true},
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
		{"PublicKey", "PublicKey", true},
		{"PublicKey,Password", "PublicKey", true},
		{"PublicKey,Password", "Password", true},
		{"PublicKey,Password", "PublicKey,Password", true},
		{"PublicKey,Password,TOTP", "PublicKey,TOTP", true},
		{"PublicKey,PublicKey", "PublicKey,PublicKey", true},
		{"PublicKey", "PublicKey,PublicKey", false},
		{"PublicKey,Password", "Password,PublicKey", false},
		{"PublicKey", "Password", false},
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
