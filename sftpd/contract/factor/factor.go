// Package factor defines the steps of a login, and the ordered combinations of them that log in. It works on names only, and
// has no access to credentials or connections.
package factor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Step is one proof in a login. SFTPUsers, configurations and the audit log have the same names.
type Step string

// The steps.
const (
	// PublicKey is a key, or a certificate of one. Each one in a combination needs a different key.
	PublicKey Step = "PublicKey"
	// Password is asked for with the SSH method password, or with keyboard-interactive by
	// clients that have no other.
	Password Step = "Password"
	// TOTP is the code of an authenticator app (RFC 6238). It never comes first: the questions that a stranger is asked must not
	// reveal who has one, and six digits are not sufficient proof on their own.
	TOTP Step = "TOTP"
)

// Limits of a Set and of each Combination in it.
const (
	MaxCombinations = 8
	MaxSteps        = 4
)

// Combination is a list of steps that must succeed in order.
type Combination []Step

// Parse reads a combination such as "PublicKey,TOTP".
func Parse(text string) (Combination, error) {
	names := strings.Split(text, ",")
	if len(names) > MaxSteps {
		return nil, fmt.Errorf("%q has %d steps, but at most %d are allowed", text, len(names), MaxSteps)
	}
	c := make(Combination, 0, len(names))
	for _, name := range names {
		switch s := Step(name); {
		case s != PublicKey && s != Password && s != TOTP:
			return nil, fmt.Errorf("%q in %q is not a step; the steps are %s, %s and %s", name, text, PublicKey, Password, TOTP)
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

// String returns the form that Parse reads.
func (c Combination) String() string { return strings.Join(c.Names(), ",") }

// Names returns the names of the steps, in their order.
func (c Combination) Names() []string {
	names := make([]string, 0, len(c))
	for _, s := range c {
		names = append(names, string(s))
	}
	return names
}

// Count returns how often a step occurs in it.
func (c Combination) Count(s Step) (n int) {
	for _, have := range c {
		if have == s {
			n++
		}
	}
	return n
}

// Covers reports whether this one contains all steps of another, in the same order,
// possibly with others in between.
func (c Combination) Covers(other Combination) bool {
	for _, s := range c {
		if len(other) > 0 && other[0] == s {
			other = other[1:]
		}
	}
	return len(other) == 0
}

// Set is a set of combinations, any one of which logs in.
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
			return nil, fmt.Errorf("the combination %q is a duplicate", text)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, err
		}
		s = append(s, c)
	}
	return s, nil
}

// Strings returns the form that ParseSet reads.
func (s Set) Strings() []string {
	out := make([]string, 0, len(s))
	for _, c := range s {
		out = append(out, c.String())
	}
	return out
}

// Count returns the maximum number of times that a step occurs in one of the combinations.
func (s Set) Count(step Step) (n int) {
	for _, c := range s {
		n = max(n, c.Count(step))
	}
	return n
}

// Next returns the steps that may follow the completed ones, in the order of the combinations.
func (s Set) Next(done []Step) (next []Step) {
	for _, c := range s {
		if len(c) > len(done) && slices.Equal(c[:len(done)], done) && !slices.Contains(next, c[len(done)]) {
			next = append(next, c[len(done)])
		}
	}
	return next
}

// Complete reports whether the completed steps are one of the combinations.
func (s Set) Complete(done []Step) bool {
	return slices.ContainsFunc(s, func(c Combination) bool { return slices.Equal(c, done) })
}

// CoveredBy reports whether the completed steps suffice for any of the combinations.
func (s Set) CoveredBy(done Combination) bool {
	return slices.ContainsFunc(s, done.Covers)
}
