package explain

import (
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// stepOf a method of the API.
var stepOf = map[v1alpha1.AuthMethod]factor.Step{v1alpha1.AuthPublicKey: factor.PublicKey, v1alpha1.AuthPassword: factor.Password}

// method looks at the combinations that log the user in, and returns those that the client's method is part of.
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
		if step := stepOf[e.Method]; step != "" && slices.Contains(c, step) {
			ways = append(ways, c)
		}
	}
	passwordFirst := slices.ContainsFunc(ways, func(c factor.Combination) bool { return c[0] == factor.Password })
	switch {
	case len(possible) == 0:
		e.add(name, Denied, "the user has no way to log in that the listener allows")
	case len(ways) == 0:
		e.add(name, Denied, "the user cannot log in by %s, only by: %s", e.Method, all)
	case e.Method == v1alpha1.AuthPassword && e.Fingerprint == "" && !passwordFirst:
		e.add(name, Denied, "the user logs in by %s: a client that has no key gets no further", all)
	case len(ways[0]) > 1:
		e.add(name, OK, "the user may log in by: %s. A combination needs all of its steps, in this order, each key another one", all)
	default:
		e.add(name, OK, "the user may log in by: %s", all)
	}
	return ways
}

// possible are the user's combinations for which it has something and which the listener allows.
func (e *explainer) possible() (factor.Set, error) {
	auth, l := e.User.Spec.Authentication, e.Listener
	if l == nil { // then the operator would not have accepted a user with methods that are not allowed
		l = &v1alpha1.SFTPListener{}
	}
	methods, _, err := attach.Methods(l, e.User)
	allowed := attach.AllowedMethods(l)
	has := map[factor.Step]bool{
		// SFTPKeys that are assigned to the user stand in its status alone.
		factor.PublicKey: slices.Contains(allowed, v1alpha1.AuthPublicKey) &&
			(len(auth.AuthorizedKeys)+len(auth.AuthorizedKeysSecretRefs)+len(auth.KeyRefs)+len(e.User.Status.Keys) > 0 ||
				auth.Certificates == v1alpha1.CertificatesAccepted),
		factor.Password: slices.Contains(allowed, v1alpha1.AuthPassword) && auth.PasswordSecretRef != nil,
		factor.TOTP:     auth.TOTPSecretRef != nil,
	}
	return slices.DeleteFunc(methods, func(c factor.Combination) bool {
		return slices.ContainsFunc(c, func(s factor.Step) bool { return !has[s] })
	}), err
}

// always says whether every way needs a step.
func always(ways factor.Set, step factor.Step) bool {
	return len(ways) > 0 && !slices.ContainsFunc(ways, func(c factor.Combination) bool { return !slices.Contains(c, step) })
}

// code looks at the secret of the app, and says nothing of it.
func (e *explainer) code() {
	const name = "code"
	entry := e.seen.entry(credentials.KindTOTP)
	switch {
	case entry.denied != nil:
		e.add(name, Unknown, "%v", entry.denied)
	case entry.Problem != nil:
		e.add(name, Denied, "%s: %s", entry.Problem.Reason, entry.Problem.Message)
	default:
		e.add(name, OK, "Secret %s has a secret for an app; whether the client's app has the same, and the right time, is not known here",
			e.User.Spec.Authentication.TOTPSecretRef.Name)
	}
}
