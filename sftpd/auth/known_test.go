package auth

import (
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestKnownKey: the key of a suspended or expired user is distinguished from an unknown key, and from a key that is refused for
// another reason.
func TestKnownKey(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *scene)
		known  bool
	}{
		"suspended":             {func(s *scene) { s.refuse(config.RefusedSuspended) }, true},
		"expired":               {func(s *scene) { s.refuse(config.RefusedExpired) }, true},
		"just expired":          {func(s *scene) { s.user().NotAfter = s.at(0) }, true},
		"a stranger":            {func(s *scene) { s.refuse(config.RefusedSuspended); s.offered = s.more.PublicKey() }, false},
		"another name":          {func(s *scene) { s.refuse(config.RefusedSuspended); s.username = "nobody" }, false},
		"a key of other times":  {func(s *scene) { s.user().Keys[0].NotAfter = s.at(-time.Hour) }, false},
		"a user that is active": {func(s *scene) { s.offered = s.more.PublicKey() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *scene) {
				tc.change(s)
				if _, err := s.login().publicKeyOffered(named(s.username), s.offered); err == nil || len(s.refusals) != 1 || s.refusals[0].Known != tc.known {
					s.Errorf("%v, %+v", err, s.refusals)
				}
			})
		})
	}
}
