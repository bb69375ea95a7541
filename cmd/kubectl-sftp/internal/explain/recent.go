package explain

import (
	"slices"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Recently is how far back a refusal still counts as evidence. It is longer than the default maximum of a penalty, which is 10
// minutes.
const Recently = 15 * time.Minute

// Log is what could be read of the audit log.
type Log struct {
	// Lines that concern the user or the address, in any order.
	Lines []Line
	// Missing is why some or all of the log could not be read, "" if everything could.
	Missing string
}

// checked are the reasons that the other checks look for. If these checks find nothing, a refusal with one of the reasons was
// about something else: an earlier configuration, a different key, a different address.
var checked = []event.Reason{
	event.UnknownUser, event.UserExpired, event.UserSuspended,
	event.KeyNotRegistered, event.KeyExpired, event.KeyNotYetValid, event.KeyRevoked, event.KeyTooShort,
	event.NotAUserCertificate, event.CANotTrusted, event.CANotAllowed, event.CertificatesNotAccepted, event.CertificatePrincipal,
	event.CertificateNotYetValid, event.CertificateExpired, event.CertificateOption, event.CertificateRevoked, event.CertificateInvalid,
	event.SourceNotAllowed, event.NoPassword, event.MethodNotOffered, event.ChangedDuringLogin, event.UserRemoved, event.KeyRemoved,
	event.PasswordChanged, event.TOTPChanged, event.SecondFactorRequired, event.MountsChanged,
}

// recent looks for what only the pods know: penalties, places, limits of connections, and what the client did.
func (e *explainer) recent() {
	const name = "recent refusals"
	last, found := e.latest()
	switch reason := event.Reason(last.Reason); {
	case !found || last.Event == "login":
		e.noRefusal(name, last, found)
	case last.offeredOthers(e.Fingerprint):
		e.add(name, Unknown, "the client offered %s at %s, not %s: %s%s",
			strings.Join(last.KeysOffered, ", "), stamp(last.Time), e.Fingerprint, reason, in(last.Meaning))
	case slices.Contains(checked, reason):
		if verdict(e.checks) == Denied {
			return // it is explained
		}
		e.add(name, Unknown, "a login was denied at %s: %s%s. The other checks no longer find that reason: either the client offered different credentials, or the objects have changed since then",
			stamp(last.Time), reason, in(last.Meaning))
	default:
		e.observed = reason
		answer := e.add(name, Denied, "denied a moment ago, at %s, from %s: %s%s", stamp(last.Time), last.Source, reason, in(last.Meaning))
		switch reason {
		case event.SourcePenalized:
			e.connection.SourcePenalized = answer
		case event.LoginPenalized:
			e.key.LoginPenalized, e.passwordAsked.LoginPenalized = answer, answer
		default:
		}
	}
}

// noRefusal adds the check for a log without a refusal, or with a login after it.
func (e *explainer) noRefusal(name string, login Line, loggedIn bool) {
	const only = "penalties, connection limits and client errors are only in the pods' logs"
	switch {
	case e.Log.Missing != "":
		e.add(name, Unknown, "%s, some of which could not be read: %s", only, e.Log.Missing)
	case !e.From.IsValid():
		e.add(name, Unknown, "%s; there is none for the user since %s; use --from to include refusals of its address", only, stamp(e.Now.Add(-Recently)))
	case loggedIn:
		e.add(name, OK, "the user logged in at %s, and has not been refused since", stamp(login.Time))
	default:
		e.add(name, OK, "the pods have logged no refusal of the user or of %s since %s", e.From, stamp(e.Now.Add(-Recently)))
	}
}

// latest returns the latest line of late that counts: a login or a refusal.
func (e *explainer) latest() (last Line, found bool) {
	for _, l := range e.Log.Lines {
		if l.Event == "session_revoked" || e.Now.Sub(l.Time) > Recently || found && l.Time.Before(last.Time) {
			continue
		}
		last, found = l, true
	}
	return last, found
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func in(meaning string) string {
	if meaning == "" {
		return ""
	}
	return " (" + meaning + ")"
}

// client lists what has to be assumed about the client.
func (e *explainer) client() {
	if verdict(e.checks) == Denied {
		return
	}
	policy := "the listener's crypto policy"
	if e.Listener != nil {
		policy = "crypto policy " + string(e.policyName())
	}
	var has []string
	if e.Method == v1alpha1.AuthPublicKey {
		has = append(has, "has the private half of the key, and offers it before too many others")
	}
	has = append(has, "has algorithms in common with "+policy, "trusts a host key of the listener",
		"logs in in time") //nolint:dupword // it "logs in", and "in time"
	e.add("client", Assumed, "the client %s", strings.Join(has, "; "))
}

func (e *explainer) policyName() v1alpha1.CryptoPolicy {
	if p := e.Listener.Status.CryptoPolicy; p != "" {
		return p
	}
	return e.Listener.Spec.CryptoPolicy
}
