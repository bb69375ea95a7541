package status

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
)

// maxReasons is how many reasons the status has.
const maxReasons = 16

// users counts the users by whether they can log in, and why not.
func users(res *outcome.Result) *v1alpha1.ListenerUsers {
	out := &v1alpha1.ListenerUsers{Ready: new(int32(res.Ready))}
	inactive := res.Inactive()
	out.Inactive, out.NotReady = new(int32(inactive)), new(int32(res.NotReady-inactive))
	for reason, n := range res.Reasons {
		if reason != "" { // one that is not known yet
			out.Reasons = append(out.Reasons, v1alpha1.UserReason{Reason: reason, Users: int32(n)})
		}
	}
	slices.SortFunc(out.Reasons, func(a, b v1alpha1.UserReason) int {
		return cmp.Or(cmp.Compare(b.Users, a.Users), strings.Compare(a.Reason, b.Reason))
	})
	out.Reasons = out.Reasons[:min(len(out.Reasons), maxReasons)]
	return out
}
