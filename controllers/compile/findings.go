package compile

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

// Messages about records that have no room.
const (
	overflowMessage = "The records of the listener's users do not fit; ask its owner to raise maxUsers"
	growthMessage   = "The listener has too little room for the user's record, so new keys are left out; remove keys that are not needed, or ask the listener's owner to raise maxUsers"
)

// Finding is something that a condition reports and that needs to be fixed.
type Finding struct {
	// Object is the kind, namespace and name.
	Object string
	// Reason and Message of the condition.
	Reason, Message string
	// Missing is set if it is only about an object that does not exist. Secrets, for
	// example, are rarely in Git.
	Missing bool
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Object, f.Reason, f.Message) }

// Findings returns what needs to be fixed, with the text of the conditions.
func (o Output) Findings(l *v1alpha1.SFTPListener) []Finding {
	var out []Finding
	add := func(kind string, object client.Object, reason, message string) {
		out = append(out, Finding{
			Object: kind + " " + client.ObjectKeyFromObject(object).String(), Reason: reason, Message: message,
			Missing: reason == v1alpha1.ReasonSecretNotFound || reason == v1alpha1.ReasonKeyNotFound,
		})
	}
	for _, p := range o.Problems {
		add("SFTPListener", l, p.Reason, p.Message)
	}
	if o.Blocked != nil && o.Blocked.Reason != v1alpha1.ReasonPending { // otherwise what it waits for is a finding
		add("SFTPListener", l, o.Blocked.Reason, o.Blocked.Message)
	}
	for i := range o.Users {
		u := o.Users[i]
		if !u.Accepted() {
			if u.Reason != v1alpha1.ReasonSuspended && u.Reason != v1alpha1.ReasonExpired {
				add("SFTPUser", u.User, u.Reason, u.Message)
			}
			continue
		}
		for _, p := range u.Credentials.Problems {
			add("SFTPUser", u.User, p.Reason, p.Message)
		}
		for _, message := range unread(u.Credentials) {
			add("SFTPUser", u.User, v1alpha1.ReasonSecretUnreadable, message)
		}
		if u.Err != nil {
			add("SFTPUser", u.User, v1alpha1.ReasonUserRejected, u.Rejection())
		}
	}
	return out
}

// Rejection returns what a condition says about Err.
func (u *User) Rejection() string { return fmt.Sprintf("The user cannot be configured: %v", u.Err) }

// unread returns findings about Secrets that were not read, each Secret once.
func unread(c credentials.Credentials) []string {
	out := slices.Clone(c.Failures)
	for _, ref := range c.Pending {
		failed := fmt.Sprintf("Secret %q cannot be read: ", ref.Secret)
		if !slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(s, failed) }) {
			out = append(out, fmt.Sprintf("Secret %q has not been read yet", ref.Secret))
		}
	}
	return slices.Compact(out)
}
