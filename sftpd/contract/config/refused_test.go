package config

import (
	"strings"
	"testing"
)

func TestRefusedUsers(t *testing.T) {
	const fingerprint = "SHA256:3vYEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	good := RefusedUser{Username: "acme", UID: "u", Reason: RefusedExpired, Keys: []string{fingerprint, fingerprint}}
	with := func(change func(*RefusedUser)) []RefusedUser {
		u := good
		change(&u)
		return []RefusedUser{u}
	}
	for want, users := range map[string][]RefusedUser{
		"":                       {good},
		"more than 1000 entries": make([]RefusedUser, MaxRefusedUsers+1),
		"login name":             with(func(u *RefusedUser) { u.Username = "a b" }),
		"uid must":               with(func(u *RefusedUser) { u.UID = "" }),
		"reason":                 with(func(u *RefusedUser) { u.Reason = "Tired" }),
		"more than 4 keys":       with(func(u *RefusedUser) { u.Keys = make([]string, MaxRefusedKeys+1) }),
		"not the SHA-256":        with(func(u *RefusedUser) { u.Keys = []string{"SHA256:short"} }),
	} {
		if err := validateRefused(users); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
