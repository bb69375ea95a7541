// Package explain tells why a login is or would be denied: from the objects, with the operator's own decisions, and from
// the audit log. It reads nothing but through a Source.
package explain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// Result of a check.
type Result string

// Results.
const (
	OK      Result = "ok"
	Denied  Result = "denied"
	Unknown Result = "unknown"
)

// Check is one thing that a login depends on.
type Check struct {
	Name   string `json:"check"`
	Result Result `json:"result"`
	// Text says what was found, and what to do if it is in the way.
	Text string `json:"text"`
}

// Input is a login that somebody asks about.
type Input struct {
	User *v1alpha1.SFTPUser
	// Listener is nil if the caller may not read it: then the operator's word counts.
	Listener *v1alpha1.SFTPListener
	// Users of the listener that could be seen, and whether those are all.
	Users    []v1alpha1.SFTPUser
	AllUsers bool
	// NamespaceLabels of the user's namespace, nil if they could not be read.
	NamespaceLabels map[string]string
	// Source reads what the user refers to. What the caller may not read is a *DeniedError.
	Source Source
	Now    time.Time

	// From is the client's address; the zero value asks about none.
	From netip.Addr
	// Method that the client uses, "" for none in particular.
	Method v1alpha1.AuthMethod
	// Fingerprint of the client's key, and the key itself, nil if only its fingerprint is known.
	Fingerprint string
	Key         ssh.PublicKey
}

// Explain returns the checks in the order in which the operator and the daemon make them.
func Explain(ctx context.Context, in Input) ([]Check, error) {
	e := &explainer{Input: in}
	if err := e.compile(ctx); err != nil {
		return nil, err
	}
	e.attachment()
	e.delivery()
	if in.From.IsValid() {
		if in.Listener != nil {
			e.network("listener's networks", "spec.allowedCIDRs of the listener", in.Listener.Spec.AllowedCIDRs)
		} else {
			e.add("listener's networks", Unknown, "you may not read the listener")
		}
		e.network("user's networks", "spec.allowedCIDRs of the user", in.User.Spec.AllowedCIDRs)
	}
	ways := e.method()
	if in.Method == v1alpha1.AuthPublicKey {
		e.publicKey()
	}
	if in.Method == v1alpha1.AuthPassword || always(ways, factor.Password) {
		e.password()
	}
	if always(ways, factor.TOTP) {
		e.code()
	}
	return e.checks, nil
}

// Verdict sums checks up.
func Verdict(checks []Check) Result {
	for _, r := range []Result{Denied, Unknown} {
		if slices.ContainsFunc(checks, func(c Check) bool { return c.Result == r }) {
			return r
		}
	}
	return OK
}

type explainer struct {
	Input
	seen     seen
	compiled compile.Output // zero without a listener
	checks   []Check
}

func (e *explainer) add(name string, r Result, format string, args ...any) {
	e.checks = append(e.checks, Check{name, r, fmt.Sprintf(format, args...)})
}

// attachment decides as the operator does, now, with what could be seen.
func (e *explainer) attachment() {
	const name = "attachment"
	if e.Listener == nil {
		e.attachmentByStatus(name)
		return
	}
	if e.NamespaceLabels == nil && e.Listener.Spec.AllowedUsers.Namespaces.From == v1alpha1.NamespacesSelector {
		e.add(name, Unknown, "the listener admits namespaces by their labels, and those of %s could not be read; the operator said: %s",
			e.User.Namespace, condition(e.User, v1alpha1.ConditionAccepted))
		return
	}
	for i := range e.compiled.Users {
		u := &e.compiled.Users[i]
		if u.User.UID != e.User.UID {
			continue
		}
		switch {
		case !u.Accepted():
			e.add(name, Denied, "%s: %s", u.Reason, u.Message)
		case u.Err != nil:
			e.add(name, Denied, "%s: %s", v1alpha1.ReasonUserRejected, u.Rejection())
		case !e.AllUsers && !isTrue(e.User, v1alpha1.ConditionAccepted):
			e.add(name, Unknown, "users of other namespaces could not be seen, and the operator said: %s", condition(e.User, v1alpha1.ConditionAccepted))
		default:
			e.add(name, OK, "the listener accepts the user, as %q", u.Username)
		}
		return
	}
	e.add(name, Denied, "the user is being deleted")
}

// attachmentByStatus goes by what the operator found.
func (e *explainer) attachmentByStatus(name string) {
	c := meta.FindStatusCondition(e.User.Status.Conditions, v1alpha1.ConditionAccepted)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown || e.User.Status.ObservedGeneration < e.User.Generation:
		e.add(name, Unknown, "you may not read the listener, and the operator said: %s", condition(e.User, v1alpha1.ConditionAccepted))
	case c.Status == metav1.ConditionFalse:
		e.add(name, Denied, "the operator said: %s", condition(e.User, v1alpha1.ConditionAccepted))
	default:
		e.add(name, OK, "the listener accepts the user, as %q, the operator said", e.User.Status.Username)
	}
}

// delivery says whether the pods have the login.
func (e *explainer) delivery() {
	const name = "delivery"
	listenerReady := e.Listener == nil || meta.IsStatusConditionTrue(e.Listener.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case e.User.Status.ObservedGeneration < e.User.Generation:
		e.add(name, Unknown, "the operator has not seen the latest change of the user: its pods may go by the one before")
	case isTrue(e.User, v1alpha1.ConditionReady) && listenerReady:
		e.add(name, OK, "every ready pod of the listener has loaded the user")
	case !listenerReady:
		c := meta.FindStatusCondition(e.Listener.Status.Conditions, v1alpha1.ConditionReady)
		text := "nobody has looked at it"
		if c != nil {
			text = c.Reason + ": " + c.Message
		}
		e.add(name, Unknown, "the listener is not ready, so there may be no pod to log in to: %s", text)
	default:
		e.add(name, Unknown, "the user is not ready, so pods may lack it, or a part of its keys: %s", condition(e.User, v1alpha1.ConditionReady))
	}
}

func (e *explainer) network(name, field string, list []string) {
	set, err := networks.Parse(list)
	switch {
	case err != nil:
		e.add(name, Unknown, "%s: %v", field, err)
	case set.Empty():
		e.add(name, OK, "%s has no networks, so all may", field)
	case e.hidesAddresses():
		e.add(name, Unknown, "%s has %s; %s", field, strings.Join(list, ", "), hiddenAddresses)
	case !set.Contains(e.From):
		e.add(name, Denied, "%s does not contain %s, only %s", field, e.From, strings.Join(list, ", "))
	default:
		e.add(name, OK, "%s contains %s", field, e.From)
	}
}

const hiddenAddresses = "but with service.externalTrafficPolicy Cluster and without proxyProtocol the pods see addresses of nodes, not of clients"

func (e *explainer) hidesAddresses() bool {
	if e.Listener == nil {
		return false
	}
	s := e.Listener.Spec
	return s.Service.ExternalTrafficPolicy == v1alpha1.TrafficCluster && s.ProxyProtocol.Mode != v1alpha1.ProxyProtocolRequired
}

func isTrue(u *v1alpha1.SFTPUser, conditionType string) bool {
	return meta.IsStatusConditionTrue(u.Status.Conditions, conditionType)
}

func condition(u *v1alpha1.SFTPUser, conditionType string) string {
	c := meta.FindStatusCondition(u.Status.Conditions, conditionType)
	if c == nil {
		return "nothing"
	}
	return c.Reason + ": " + c.Message
}
