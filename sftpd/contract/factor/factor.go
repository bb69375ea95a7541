// Package factor has the steps of a login, and the ordered combinations of them that log in.
// It decides on names alone, and knows neither credentials nor connections.
package factor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Step is one proof in a login, written as in OpenSSH's AuthenticationMethods: the name of an
// SSH method and, after a colon, what it asks for.
type Step string

// The steps.
const (
	// PublicKey is a key, or a certificate of one. Each one in a combination is of another key.
	PublicKey Step = "publickey"
	// Password is asked for with the SSH method password, or with keyboard-interactive by
	// clients that have no other.
	Password Step = "password"
	// TOTP is the code of an authenticator app (RFC 6238). It never comes first: what a
	// stranger is asked for must not tell who has one, and six digits alone are no proof.
	TOTP Step = "keyboard-interactive:totp"
)

// Bounds of a Set and of each Combination in it.
const (
	MaxCombinations = 8
	MaxSteps        = 4
)

// Combination is steps that have to succeed in their order.
type Combination []Step

// Parse reads a combination such as "publickey,keyboard-interactive:totp".
func Parse(text string) (Combination, error) {
	names := strings.Split(text, ",")
	if len(names) > MaxSteps {
		return nil, fmt.Errorf("%q has %d steps, at most %d are possible", text, len(names), MaxSteps)
	}
	c := make(Combination, 0, len(names))
	for _, name := range names {
		switch s := Step(name); {
		case s != PublicKey && s != Password && s != TOTP:
			return nil, fmt.Errorf("%q in %q is no step: they are %s, %s and %s", name, text, PublicKey, Password, TOTP)
		case s == TOTP && len(c) == 0:
			return nil, fmt.Errorf("%q begins with %s, which has to come after %s or %s", text, TOTP, PublicKey, Password)
		case s != PublicKey && slices.Contains(c, s):
			return nil, fmt.Errorf("%q has %s twice", text, s)
		default:
			c = append(c, s)
		}
	}
	return c, nil
}

// String is what Parse reads.
func (c Combination) String() string {
	names := make([]string, 0, len(c))
	for _, s := range c {
		names = append(names, string(s))
	}
	return strings.Join(names, ",")
}

// Count is how often a step is in it.
func (c Combination) Count(s Step) (n int) {
	for _, have := range c {
		if have == s {
			n++
		}
	}
	return n
}

// Covers says whether all steps of another are in this one, in the same order, with others
// between them or not.
func (c Combination) Covers(other Combination) bool {
	for _, s := range c {
		if len(other) > 0 && other[0] == s {
			other = other[1:]
		}
	}
	return len(other) == 0
}

// Set is combinations of which any one logs in.
type Set []Combination

// ParseSet reads a list of combinations.
func ParseSet(texts []string) (Set, error) {
	switch {
	case len(texts) == 0:
		return nil, errors.New("no combination of methods")
	case len(texts) > MaxCombinations:
		return nil, fmt.Errorf("more than %d combinations of methods", MaxCombinations)
	}
	s := make(Set, 0, len(texts))
	for i, text := range texts {
		if slices.Contains(texts[:i], text) {
			return nil, fmt.Errorf("the combination %q stands twice", text)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, err
		}
		s = append(s, c)
	}
	return s, nil
}

// Strings is what ParseSet reads.
func (s Set) Strings() []string {
	out := make([]string, 0, len(s))
	for _, c := range s {
		out = append(out, c.String())
	}
	return out
}

// Count is the most often that a step is in one of the combinations.
func (s Set) Count(step Step) (n int) {
	for _, c := range s {
		n = max(n, c.Count(step))
	}
	return n
}

// Next returns the steps that can follow on those that are done, in the order of the
// combinations.
func (s Set) Next(done []Step) (next []Step) {
	for _, c := range s {
		if len(c) > len(done) && slices.Equal(c[:len(done)], done) && !slices.Contains(next, c[len(done)]) {
			next = append(next, c[len(done)])
		}
	}
	return next
}

// Complete says whether the steps that are done are one of the combinations.
func (s Set) Complete(done []Step) bool {
	return slices.ContainsFunc(s, func(c Combination) bool { return slices.Equal(c, done) })
}

// CoveredBy says whether what was done suffices for any of the combinations.
func (s Set) CoveredBy(done Combination) bool {
	return slices.ContainsFunc(s, done.Covers)
}
