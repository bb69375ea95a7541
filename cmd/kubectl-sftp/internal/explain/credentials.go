package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/inventory"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/cidr"
	"github.com/sftp-operator/sftp-operator/sftpd/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

func (e *explainer) publicKey(ctx context.Context) error {
	const name = "key"
	if e.Fingerprint == "" {
		e.add(name, Unknown, "no key was given to look for; the user has: %s", list(e.User.Status.KeyFingerprints))
		return nil
	}
	if e.Key != nil && !e.usableKey(name) {
		return nil
	}
	keys, denied, err := e.resolve(ctx)
	if err != nil {
		return err
	}
	i := slices.Index(keys.Fingerprints, e.Fingerprint)
	switch {
	case i >= 0:
		e.add(name, OK, "%s is registered", e.Fingerprint)
		e.keyFrom(keys.Keys[i].From)
	case len(denied) > 0 && slices.Contains(e.User.Status.KeyFingerprints, e.Fingerprint):
		e.add(name, OK, "%s is registered, as the status says", e.Fingerprint)
		e.add("key's networks", Unknown, "whether from= restricts the key could not be seen: %s", strings.Join(denied, "; "))
	case len(denied) > 0 && e.User.Status.ObservedGeneration < e.User.Generation:
		e.add(name, Unknown, "%s is not among the keys that could be seen: %s", e.Fingerprint, strings.Join(denied, "; "))
	default:
		e.add(name, Denied, "%s is not registered for the user, which has: %s%s",
			e.Fingerprint, list(keys.Fingerprints, e.User.Status.KeyFingerprints...), problemsOf(keys))
	}
	return nil
}

// usableKey says whether any user of the listener could log in with the key.
func (e *explainer) usableKey(name string) bool {
	if err := publickey.Check(e.Key); err != nil {
		e.add(name, Denied, "%v", err)
		return false
	}
	if e.Listener == nil {
		return true // the status has no key that the policy refuses
	}
	policyName := e.Listener.Status.CryptoPolicy
	if policyName == "" {
		policyName = e.Listener.Spec.CryptoPolicy
	}
	policy, err := cryptopolicy.Lookup(string(policyName))
	if err != nil {
		e.add("crypto policy", Unknown, "%v", err)
		return true
	}
	if err := policy.CheckUserKey(e.Key); err != nil {
		e.add("crypto policy", Denied, "%v", err)
		return false
	}
	e.add("crypto policy", OK, "%s admits keys of type %s", policy.Name, e.Key.Type())
	return true
}

// resolve resolves each source of keys by itself, so that one that the caller may not read does not hide the others.
func (e *explainer) resolve(ctx context.Context) (keys credentials.Credentials, denied []string, err error) {
	auth := e.User.Spec.Authentication
	parts := []v1alpha1.UserAuthentication{{AuthorizedKeys: auth.AuthorizedKeys}}
	for _, ref := range auth.AuthorizedKeysSecretRefs {
		parts = append(parts, v1alpha1.UserAuthentication{AuthorizedKeysSecretRefs: []v1alpha1.AuthorizedKeysSecretReference{ref}})
	}
	for _, ref := range auth.KeyRefs {
		parts = append(parts, v1alpha1.UserAuthentication{KeyRefs: []v1alpha1.LocalKeyReference{ref}})
	}
	for _, part := range parts {
		c, err := e.resolvePart(ctx, part)
		var d *inventory.DeniedError
		switch {
		case errors.As(err, &d):
			denied = append(denied, d.Error())
		case err != nil:
			return keys, nil, err
		}
		keys.Keys = append(keys.Keys, c.Keys...)
		keys.Fingerprints = append(keys.Fingerprints, c.Fingerprints...)
		keys.Problems = append(keys.Problems, c.Problems...)
	}
	return keys, denied, nil
}

func (e *explainer) resolvePart(ctx context.Context, auth v1alpha1.UserAuthentication) (credentials.Credentials, error) {
	u := &v1alpha1.SFTPUser{}
	u.Namespace, u.Name, u.Spec.Authentication = e.User.Namespace, e.User.Name, auth
	return credentials.Resolve(ctx, e.Source, u, nil)
}

func (e *explainer) keyFrom(networks []string) {
	const name = "key's networks"
	if len(networks) == 0 {
		return
	}
	if !e.From.IsValid() {
		e.add(name, Unknown, "from= restricts the key to %s; give --from", strings.Join(networks, ", "))
		return
	}
	// A zone, which an address of a link may have, is none of the client's.
	var plain []string
	for _, n := range networks {
		if !strings.Contains(n, "%") {
			plain = append(plain, n)
		}
	}
	set, err := cidr.Parse(plain)
	switch {
	case err != nil:
		e.add(name, Unknown, "from= of the key: %v", err)
	case e.hidesAddresses():
		e.add(name, Unknown, "from= of the key has %s; %s", strings.Join(networks, ", "), hiddenAddresses)
	case !set.Contains(e.From):
		e.add(name, Denied, "from= of the key does not contain %s, only %s", e.From, strings.Join(networks, ", "))
	default:
		e.add(name, OK, "from= of the key contains %s", e.From)
	}
}

func (e *explainer) password(ctx context.Context) error {
	const name = "password"
	ref := e.User.Spec.Authentication.PasswordSecretRef
	if ref == nil {
		return nil // the method says it
	}
	c, err := e.resolvePart(ctx, v1alpha1.UserAuthentication{PasswordSecretRef: ref})
	var d *inventory.DeniedError
	switch {
	case errors.As(err, &d):
		e.add(name, Unknown, "%v", d)
	case err != nil:
		return err
	case c.Password == nil:
		e.add(name, Denied, "%s", strings.TrimPrefix(problemsOf(c), "; "))
	default:
		e.add(name, OK, "Secret %s has one; whether the client has the same is not known here", ref.Name)
	}
	return nil
}

func problemsOf(c credentials.Credentials) string {
	if p, ok := c.Problem(); ok {
		return fmt.Sprintf("; %s: %s", p.Reason, p.Message)
	}
	return ""
}

// list joins texts, each once.
func list(texts []string, more ...string) string {
	var all []string
	for _, t := range append(slices.Clone(texts), more...) {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
