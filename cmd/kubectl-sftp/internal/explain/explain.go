// Package explain finds out why a login is or would be denied: from the objects, with the operator's own decisions, and from
// the audit log. It reads only through a Source.
package explain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Result of a check.
type Result string

// Results. An Assumed property of the client does not lower a verdict: only the client can prove it.
const (
	OK      Result = "ok"
	Denied  Result = "denied"
	Unknown Result = "unknown"
	Assumed Result = "assumed"
)

// Check is one thing that a login depends on.
type Check struct {
	Name   string `json:"check"`
	Result Result `json:"result"`
	// Text is the finding, and what to do about it. For an unknown result it says what is needed to check it.
	Text string `json:"text"`
}

// Input is a login to explain.
type Input struct {
	User *v1alpha1.SFTPUser
	// Listener is nil if the caller may not read it: then the operator's report counts. NoListener means that there is none.
	Listener   *v1alpha1.SFTPListener
	NoListener bool
	// Users of the listener that could be read, and whether these are all of them.
	Users    []v1alpha1.SFTPUser
	AllUsers bool
	// NamespaceLabels of the user's namespace, nil if they could not be read.
	NamespaceLabels map[string]string
	// Source reads what the user refers to. It returns a *DeniedError for anything that the caller may not read.
	Source Source
	Now    time.Time
	// Log is what the listener's pods have logged about the user and the address.
	Log Log

	// From is the client's address; the zero value asks about none.
	From netip.Addr
	// Method that the client uses, "" for none in particular.
	Method v1alpha1.AuthMethod
	// Fingerprint of the client's key, and the key itself, nil if only its fingerprint is known. Certificate is the
	// key's, nil for none.
	Fingerprint string
	Key         ssh.PublicKey
	Certificate *ssh.Certificate
	// Password of the client, nil for none to compare.
	Password []byte
}

// Explanation is the result of Explain.
type Explanation struct {
	// Verdict is Denied, Unknown or OK.
	Verdict Result
	// Reason with which the daemon refuses the login, as in its audit log; "" if it does not refuse it, or never sees it.
	Reason event.Reason
	Checks []Check
}

// Explain runs the checks in the order in which the operator and the daemon run them. Errors are the Source's, except for
// what the caller may not read.
func Explain(ctx context.Context, in Input) (Explanation, error) {
	e := &explainer{Input: in}
	if in.NoListener {
		e.add("listener", Denied, "the SFTPListener that spec.listenerRef names does not exist, so there is nothing to log in to")
		return e.explanation(), nil
	}
	if in.Listener != nil {
		e.Listener = platform.AsServed(in.Listener)
	}
	if err := e.compile(ctx); err != nil {
		return Explanation{}, err
	}
	e.attachment()
	e.delivery()
	e.source()
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
	if in.Method == "" {
		e.add("credential", Unknown, "none was given; use -i, --fingerprint or --method Password")
	}
	e.recent()
	e.client()
	return e.explanation(), nil
}

// verdict combines the results of checks.
func verdict(checks []Check) Result {
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
	trusted  render.Trust   // zero without a listener
	// trustDenied is why some of it could not be read.
	trustDenied string
	checks      []Check

	// The findings against the login, for the daemon's own decision.
	connection    judge.Connection
	key           judge.Key
	passwordAsked judge.Password
	observed      event.Reason // of the log
	refusedAs     event.Reason // why a user that pods know cannot log in, "" for one that they do not know
}

// add adds a check, and returns its result as an answer to whether there is a finding against the login.
func (e *explainer) add(name string, r Result, format string, args ...any) judge.Answer {
	e.checks = append(e.checks, Check{name, r, fmt.Sprintf(format, args...)})
	switch r {
	case Denied:
		return judge.Yes
	case Unknown:
		return judge.Unknown
	case OK, Assumed:
	}
	return judge.No
}

// worse returns the answer that lowers a verdict more.
func worse(a, b judge.Answer) judge.Answer {
	switch {
	case a == judge.Yes || b == judge.Yes:
		return judge.Yes
	case a == judge.Unknown || b == judge.Unknown:
		return judge.Unknown
	}
	return judge.No
}

// explanation combines the checks with the reason on which the daemon decides.
func (e *explainer) explanation() Explanation {
	out := Explanation{Verdict: verdict(e.checks), Checks: e.checks}
	if out.Verdict != Denied || e.NoListener {
		return out
	}
	decisions := []judge.Decision{e.connection.Decide()}
	if e.Method == v1alpha1.AuthPublicKey {
		decisions = append(decisions, e.key.Decide())
	}
	decisions = append(decisions, e.passwordAsked.Decide())
	for _, d := range decisions {
		if out.Reason == "" {
			out.Reason = d.Reason
		}
	}
	if out.Reason == event.UnknownUser && e.refusedAs != "" {
		out.Reason = e.refusedAs
	}
	if out.Reason == "" {
		out.Reason = e.observed
	}
	return out
}
