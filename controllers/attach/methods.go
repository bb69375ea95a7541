package attach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

// Methods returns the combinations that log a user in: its own, or those that the listener requires, or each single credential.
// explicit is set if the user listed them, and therefore intends each of them to work.
//
// A user with a TOTP secret that does not say when a code is required always needs one.
func Methods(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (methods factor.Set, explicit bool, err error) {
	a := u.Spec.Authentication
	switch {
	case len(a.Methods) > 0:
		methods, err = parse(a.Methods)
		return methods, true, err
	case len(l.Spec.Authentication.RequiredMethods) > 0:
		if methods, err = parse(l.Spec.Authentication.RequiredMethods); err != nil {
			return nil, false, fmt.Errorf("the listener's requiredMethods: %w", err)
		}
	default:
		methods = factor.Set{{factor.PublicKey}}
		if a.PasswordSecretRef != nil {
			methods = append(methods, factor.Combination{factor.Password})
		}
	}
	if a.TOTPSecretRef != nil {
		for i, c := range methods {
			if !slices.Contains(c, factor.TOTP) && len(c) < factor.MaxSteps {
				methods[i] = append(slices.Clip(c), factor.TOTP)
			}
		}
	}
	return distinct(methods), false, nil
}

// Methods returns the same as the function Methods for the user, without the combinations that the rule of its namespace does
// not allow: keys of SFTPKeys do not log in a user whose namespace may use passwords only.
func (d Decision) Methods(l *v1alpha1.SFTPListener) (methods factor.Set, explicit bool, err error) {
	methods, explicit, err = Methods(l, d.User)
	return slices.DeleteFunc(methods, func(c factor.Combination) bool { return slices.Contains(c, factor.Step(d.RefusedMethod)) }), explicit, err
}

func parse(combinations []v1alpha1.MethodCombination) (factor.Set, error) {
	texts := make([]string, 0, len(combinations))
	for _, c := range combinations {
		texts = append(texts, c.String())
	}
	return factor.ParseSet(texts)
}

func distinct(s factor.Set) (out factor.Set) {
	for _, c := range s {
		if !slices.ContainsFunc(out, func(have factor.Combination) bool { return slices.Equal(have, c) }) {
			out = append(out, c)
		}
	}
	return out
}

// AllowedMethods returns the methods of a listener; both if it sets none.
func AllowedMethods(l *v1alpha1.SFTPListener) []v1alpha1.AuthMethod {
	if len(l.Spec.Authentication.AllowedMethods) == 0 {
		return []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}
	}
	return l.Spec.Authentication.AllowedMethods
}

// asked returns the listener's methods that a user asks for with its combinations.
func asked(u *v1alpha1.SFTPUser, methods factor.Set, explicit bool) (out []v1alpha1.AuthMethod) {
	a := u.Spec.Authentication
	// Each single credential: a user without keys of its own has those of SFTPKeys that name it, or only a password, if that
	// is enough.
	implied := !explicit && a.PasswordSecretRef != nil && a.Certificates != v1alpha1.CertificatesAccepted &&
		len(a.AuthorizedKeys)+len(a.AuthorizedKeysSecretRefs) == 0 &&
		slices.ContainsFunc(methods, func(c factor.Combination) bool { return !slices.Contains(c, factor.PublicKey) })
	if methods.Count(factor.PublicKey) > 0 && !implied {
		out = append(out, v1alpha1.AuthPublicKey)
	}
	if methods.Count(factor.Password) > 0 {
		out = append(out, v1alpha1.AuthPassword)
	}
	return out
}

func checkMethods(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (reason, message string) {
	methods, explicit, err := Methods(l, u)
	if err != nil {
		return v1alpha1.ReasonMethodNotAllowed, fmt.Sprintf("The methods cannot be used: %v", err)
	}
	allowed := AllowedMethods(l)
	for _, m := range asked(u, methods, explicit) {
		if !slices.Contains(allowed, m) {
			return v1alpha1.ReasonMethodNotAllowed,
				fmt.Sprintf("The listener does not allow the method %s; remove it from spec.authentication or ask the listener's owner", m)
		}
	}
	trust := l.Spec.Authentication
	if u.Spec.Authentication.Certificates == v1alpha1.CertificatesAccepted && len(trust.TrustedUserCAs)+len(trust.TrustedUserCAsSecretRefs) == 0 {
		return v1alpha1.ReasonMethodNotAllowed,
			"The listener trusts no certificate authority (its spec.authentication.trustedUserCAs); remove spec.authentication.certificates or ask the listener's owner"
	}
	return checkRequired(l, methods)
}

func checkRequired(l *v1alpha1.SFTPListener, methods factor.Set) (reason, message string) {
	if len(l.Spec.Authentication.RequiredMethods) == 0 {
		return "", ""
	}
	required, err := parse(l.Spec.Authentication.RequiredMethods)
	if err != nil {
		return v1alpha1.ReasonMethodNotAllowed, fmt.Sprintf("The listener's requiredMethods cannot be used: %v", err)
	}
	for _, c := range methods {
		if !required.CoveredBy(c) {
			return v1alpha1.ReasonMethodsTooWeak, fmt.Sprintf(
				"The combination %s is weaker than what the listener requires, which is: %s. Set spec.authentication.methods to one of these, or remove methods to use them",
				c, strings.Join(required.Strings(), " or "))
		}
	}
	return "", ""
}
