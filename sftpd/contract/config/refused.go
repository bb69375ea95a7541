package config

import (
	"errors"
	"fmt"
)

// Limits on the users that are recorded as refused, because they take space in the settings' Secret, which has 950 kB.
const (
	MaxRefusedUsers = 1000
	// MaxRefusedKeys limits the keys of one user.
	MaxRefusedKeys = 4
)

// Reasons of RefusedUser.
const (
	RefusedSuspended = "Suspended"
	RefusedExpired   = "Expired"
)

// RefusedUser is a user who is known but cannot log in, so that the log gives the reason, and does not report a former partner as
// an unknown user. The record contains no credentials.
type RefusedUser struct {
	// Username is the login name, and UID the SFTPUser's.
	Username string `json:"username"`
	UID      string `json:"uid"`
	// Reason is RefusedSuspended or RefusedExpired.
	Reason string `json:"reason"`
	// Keys are SHA-256 fingerprints of the user's former keys. A client that offers one of them is not a stranger guessing names.
	Keys []string `json:"keys,omitempty"`
}

func validateRefused(users []RefusedUser) error {
	if len(users) > MaxRefusedUsers {
		return fmt.Errorf("refusedUsers has more than %d entries", MaxRefusedUsers)
	}
	for _, u := range users {
		switch {
		case len(u.Username) > maxUsernameLength || !usernameRE.MatchString(u.Username):
			return fmt.Errorf("refusedUsers: login name %q is not valid", u.Username)
		case u.UID == "":
			return errors.New("refusedUsers: uid must be set")
		case u.Reason != RefusedSuspended && u.Reason != RefusedExpired:
			return fmt.Errorf("refusedUsers: reason %q is not known", u.Reason)
		case len(u.Keys) > MaxRefusedKeys:
			return fmt.Errorf("refusedUsers: %q has more than %d keys", u.Username, MaxRefusedKeys)
		}
		for _, f := range u.Keys {
			if !fingerprintRE.MatchString(f) {
				return fmt.Errorf("refusedUsers: %q is not the SHA-256 fingerprint of a key", f)
			}
		}
	}
	return nil
}
