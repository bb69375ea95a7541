package factor

import "slices"

// Credentials is the number of each kind that a login has and its listener accepts.
type Credentials struct {
	Keys           int
	Password, TOTP bool
}

// Possible returns the combinations that can succeed with credentials. The set is not changed.
func (s Set) Possible(have Credentials) Set {
	return slices.DeleteFunc(slices.Clone(s), func(c Combination) bool {
		return c.Count(PublicKey) > have.Keys || c.Count(Password) > 0 && !have.Password || c.Count(TOTP) > 0 && !have.TOTP
	})
}
