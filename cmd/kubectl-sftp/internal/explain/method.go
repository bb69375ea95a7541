package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
)

// method checks the combinations that log the user in, and returns those that include the client's method.
func (e *explainer) method() (ways factor.Set) {
	const name = "method"
	possible, err := e.possible()
	if err != nil {
		e.add(name, Denied, "the methods cannot be used: %v", err)
		return nil
	}
	all := strings.Join(possible.Strings(), " or ")
	if e.Method == "" {
		ways = possible
	}
	for _, c := range possible {
		if slices.Contains(c, factor.Step(e.Method)) {
			ways = append(ways, c)
		}
	}
	first := slices.ContainsFunc(ways, func(c factor.Combination) bool { return c[0] == factor.Step(e.Method) })
	switch {
	case len(possible) == 0:
		answer := e.add(name, Denied, "the user has no credential with which it can log in%s", e.allProblems())
		e.key.UnknownUser, e.passwordAsked.UnknownUser = answer, answer // without one it has no record
	case len(ways) == 0 && !e.offered():
		answer := e.add(name, Denied, "the listener does not allow %s; the user can log in with: %s", e.Method, all)
		e.key.MethodNotOffered, e.passwordAsked.MethodNotOffered = answer, answer
	case len(ways) == 0:
		e.add(name, Denied, "%s, only by: %s", e.refused(), all)
		e.key.Order = judge.Order(possible, nil, factor.PublicKey) // of a key that is registered
		e.passwordAsked.NoPassword = judge.Yes
	case e.Method == v1alpha1.AuthPassword && e.Fingerprint == "" && !first:
		e.add(name, Denied, "the user logs in with %s: the key comes first, so a client without a key cannot continue", all)
		e.passwordAsked.Order = judge.Order(ways, nil, factor.Password)
	case len(ways[0]) > 1:
		e.add(name, OK, "the user may log in with: %s. A combination needs all of its steps, in this order, each key a different one", all)
	default:
		e.add(name, OK, "the user may log in with: %s", all)
	}
	if e.Method == v1alpha1.AuthPublicKey && len(ways) > 0 &&
		!slices.ContainsFunc(ways, func(c factor.Combination) bool { return c.Count(factor.PublicKey) == 1 }) {
		e.add("further keys", Unknown, "the user needs several keys, but only one can be given here; check each of them")
	}
	if e.Method == v1alpha1.AuthPublicKey && len(ways) > 0 && !first {
		e.key.Order = judge.Order(ways, nil, factor.PublicKey)
		e.add("order", Unknown, "another step comes before the key; a client that begins with the key is refused with %s", e.key.Order)
	}
	return ways
}

// offered reports whether the listener offers the client's method to anyone.
func (e *explainer) offered() bool {
	return e.Listener == nil || slices.Contains(attach.AllowedMethods(e.Listener), e.Method)
}

// refused returns why the user cannot use the client's method.
func (e *explainer) refused() string {
	if e.decision().RefusedMethod == e.Method {
		return fmt.Sprintf("the listener does not allow %s to users of namespace %s (its spec.allowedUsers), so the user cannot log in with it",
			e.Method, e.User.Namespace)
	}
	return fmt.Sprintf("the user cannot log in with %s", e.Method)
}

// decision returns the operator's decision about the user, and only the user if it is not known. Without the labels of the
// namespace, the rule that applies to it is not known.
func (e *explainer) decision() attach.Decision {
	for _, u := range e.compiled.Users {
		if u.User.UID != e.User.UID {
			continue
		}
		d := u.Decision
		if e.labelsUnknown() {
			d.RefusedMethod = ""
		}
		return d
	}
	return attach.Decision{User: e.User}
}

// labelsUnknown reports whether the listener admits namespaces by labels that could not be read.
func (e *explainer) labelsUnknown() bool {
	return e.NamespaceLabels == nil && attach.UsesLabels(e.Listener)
}

// possible returns the user's combinations that can succeed with its credentials. Credentials that could not be read may exist.
func (e *explainer) possible() (factor.Set, error) {
	auth, l := e.User.Spec.Authentication, e.Listener
	if l == nil { // otherwise the operator would not have accepted the user
		l = &v1alpha1.SFTPListener{}
	}
	methods, _, err := e.decision().Methods(l)
	allowed := attach.AllowedMethods(l)
	have := factor.Credentials{
		Password: slices.Contains(allowed, v1alpha1.AuthPassword) && auth.PasswordSecretRef != nil &&
			(e.seen.keys.Password != nil || e.Method == v1alpha1.AuthPassword ||
				e.seen.entry(credentials.KindPassword, credentials.KindHash).denied != nil),
		TOTP: auth.TOTPSecretRef != nil,
	}
	switch {
	case !slices.Contains(allowed, v1alpha1.AuthPublicKey):
	case e.seen.keys.Certificates, len(e.seen.denied) > 0:
		have.Keys = factor.MaxSteps
	default:
		have.Keys = len(e.seen.keys.Keys)
		if e.Method == v1alpha1.AuthPublicKey && have.Keys == 0 && e.hasKeys() {
			have.Keys = 1 // the check of the key says why none of them can be used
		}
	}
	return methods.Possible(have), err
}

// hasKeys reports whether the user has keys, usable or not.
func (e *explainer) hasKeys() bool { return len(e.seen.keys.Inventory) > 0 }

// always reports whether every combination needs a step.
func always(ways factor.Set, step factor.Step) bool {
	return len(ways) > 0 && !slices.ContainsFunc(ways, func(c factor.Combination) bool { return !slices.Contains(c, step) })
}

// code checks the app's secret without quoting any of it.
func (e *explainer) code() {
	const name = "code"
	entry := e.seen.entry(credentials.KindTOTP)
	switch {
	case entry.denied != nil:
		e.add(name, Unknown, "%v", entry.denied)
	case entry.Problem != nil:
		e.add(name, Denied, "%s: %s", entry.Problem.Reason, entry.Problem.Message)
	default:
		e.add(name, Unknown, "Secret %s has a secret for an app; whether the client's app has the same secret and the right time is unknown: "+
			"kubectl sftp check --code tries a code", e.User.Spec.Authentication.TOTPSecretRef.Name)
	}
}
