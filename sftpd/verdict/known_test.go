package verdict

import (
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestKnownKeyIsNoScan: a suspended user that offers its own key is not penalized for the keys of that login, in any order.
// Other names and other credentials cost what they always do.
func TestKnownKeyIsNoScan(t *testing.T) {
	own, other := key("own", event.UserSuspended), key("other", event.UserSuspended)
	own.Known = true
	stranger := key("x", event.UnknownUser)
	stranger.Username = "bob"
	for name, tc := range map[string]struct {
		refusals []auth.Refusal
		pays     []string
	}{
		"its own":              {[]auth.Refusal{own}, nil},
		"an agent's, and then": {[]auth.Refusal{other, own}, nil},
		"and then an agent's":  {[]auth.Refusal{own, other}, nil},
		"not its own":          {[]auth.Refusal{other}, []string{"ada"}},
		"and another name":     {[]auth.Refusal{own, stranger}, []string{"bob"}},
	} {
		if got := after(tc.refusals...).KeyUsers(); !slices.Equal(got, tc.pays) {
			t.Errorf("%s: %q pay, want %q", name, got, tc.pays)
		}
	}
	if !Costs(auth.Refusal{Step: factor.Password, Reason: event.UserSuspended}) {
		t.Error("a password of a suspended user costs nothing")
	}
}
