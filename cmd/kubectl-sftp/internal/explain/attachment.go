package explain

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// attachment decides as the operator does, now, with the objects that could be read. If it does not accept a user, the pods do
// not know that user, unless it is suspended or expired.
func (e *explainer) attachment() {
	unknown := e.decideAttachment("attachment")
	e.key.UnknownUser, e.passwordAsked.UnknownUser = unknown, unknown
}

func (e *explainer) decideAttachment(name string) judge.Answer {
	if e.Listener == nil {
		return e.attachmentByStatus(name)
	}
	if e.labelsUnknown() {
		return e.add(name, Unknown, "the listener allows namespaces by their labels, and those of %s could not be read; the operator said: %s",
			e.User.Namespace, saidOfAcceptance(e.User))
	}
	for i := range e.compiled.Users {
		u := e.compiled.Users[i]
		if u.User.UID != e.User.UID {
			continue
		}
		switch {
		case u.Reason == v1alpha1.ReasonExpired:
			// Pods that still have the user refuse it for this reason.
			expired := e.add(name, Denied, "%s: %s", u.Reason, u.Message)
			e.key.UserExpired, e.passwordAsked.UserExpired = expired, expired
			return judge.Unknown
		case u.Reason == v1alpha1.ReasonSuspended:
			e.refusedAs = event.UserSuspended
			return e.add(name, Denied, "%s: %s", u.Reason, u.Message)
		case !u.Accepted():
			return e.add(name, Denied, "%s: %s", u.Reason, u.Message)
		case u.Err != nil:
			return e.add(name, Denied, "%s: %s", v1alpha1.ReasonUserRejected, u.Rejection())
		case !e.AllUsers && !isTrue(e.User, v1alpha1.ConditionAccepted):
			return e.add(name, Unknown, "users in other namespaces could not be read; the operator said: %s", saidOfAcceptance(e.User))
		}
		return e.add(name, OK, "the listener accepts the user, as %q", u.Username)
	}
	return e.add(name, Denied, "the user is being deleted")
}

// attachmentByStatus uses the operator's findings.
func (e *explainer) attachmentByStatus(name string) judge.Answer {
	c := meta.FindStatusCondition(e.User.Status.Conditions, v1alpha1.ConditionAccepted)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown || e.User.Status.ObservedGeneration < e.User.Generation:
		return e.add(name, Unknown, "you may not read the listener; the operator said: %s", saidOfAcceptance(e.User))
	case c.Status == metav1.ConditionFalse:
		return e.add(name, Denied, "the operator said: %s", saidOfAcceptance(e.User))
	}
	return e.add(name, OK, "the listener accepts the user, as %q, according to the operator", e.User.Status.Username)
}

// delivery reports whether the pods have the login.
func (e *explainer) delivery() {
	const name = "delivery"
	listenerReady := e.Listener == nil || serves(e.Listener)
	switch {
	case e.User.Status.ObservedGeneration < e.User.Generation:
		e.add(name, Unknown, "the operator has not seen the latest change to the user: its pods may still use the previous configuration")
	case isTrue(e.User, v1alpha1.ConditionReady) && listenerReady:
		e.add(name, OK, "every ready pod of the listener has loaded the user")
	case !listenerReady:
		text := "not reconciled yet"
		if c := conditions.Summary(e.Listener.Status.Conditions); c != nil {
			text = c.Reason + ": " + c.Message
		}
		e.add(name, Unknown, "the listener is not ready, so there may be no pod to log in to: %s", text)
	default:
		e.add(name, Unknown, "the user is not ready, so pods may lack it, or some of its keys: %s", said(conditions.Summary(e.User.Status.Conditions)))
	}
}

// serves reports whether a listener serves clients: one that the platform refuses continues with its previous settings.
func serves(l *v1alpha1.SFTPListener) bool {
	accepted := meta.FindStatusCondition(l.Status.Conditions, v1alpha1.ConditionAccepted)
	if accepted != nil && accepted.Reason == v1alpha1.ReasonPlatformPolicy {
		return meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionProgrammed)
	}
	return meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReady)
}

func isTrue(u *v1alpha1.SFTPUser, conditionType string) bool {
	return meta.IsStatusConditionTrue(u.Status.Conditions, conditionType)
}

// saidOfAcceptance returns what the operator reported about whether the listener accepts the user.
func saidOfAcceptance(u *v1alpha1.SFTPUser) string {
	return said(meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionAccepted))
}

func said(c *metav1.Condition) string {
	if c == nil {
		return "nothing"
	}
	return c.Reason + ": " + c.Message
}
