package render

import (
	"cmp"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// Policy is a listener's crypto policy at a given time.
type Policy struct {
	// Policy has the algorithms.
	cryptopolicy.Policy
	// Name of the policy in effect.
	Name v1alpha1.CryptoPolicy
	// Expires is when it ends, nil for never.
	Expires *metav1.Time
	// Ended is the policy in the spec if it has ended, "" otherwise.
	Ended v1alpha1.CryptoPolicy
}

// PolicyAt returns the crypto policy of a listener, by the same rule as the daemon, which
// falls back to Modern2026 by its own clock.
func PolicyAt(l *v1alpha1.SFTPListener, now time.Time) Policy {
	p := Policy{Name: cmp.Or(l.Spec.CryptoPolicy, v1alpha1.CryptoModern2026), Expires: l.Spec.CryptoPolicyExpirationTime}
	if p.Expires != nil && !now.Before(p.Expires.Time) {
		p = Policy{Name: cryptopolicy.Default, Ended: p.Name}
	}
	// The CRD lists the names; a test compares them with the policies.
	p.Policy, _ = cryptopolicy.Lookup(string(p.Name))
	return p
}

// Policies returns this policy and the one that follows it, if any. Everything that pods
// get has to be usable under all of them.
func (p Policy) Policies() []cryptopolicy.Policy {
	out := []cryptopolicy.Policy{p.Policy}
	if p.Expires == nil {
		return out
	}
	if next, err := cryptopolicy.Lookup(cryptopolicy.Default); err == nil { // the default always exists
		out = append(out, next)
	}
	return out
}

// CheckHostKey returns what is wrong with a host key, under this policy and under the one
// that follows it.
func (p Policy) CheckHostKey(k ssh.PublicKey) error {
	for _, policy := range p.Policies() {
		if err := policy.CheckHostKey(k); err != nil {
			return err
		}
	}
	return nil
}

// Warning returns what an ended policy means, "" for one that has not ended.
func (p Policy) Warning(l *v1alpha1.SFTPListener) string {
	if p.Ended == "" {
		return ""
	}
	return fmt.Sprintf("cryptoPolicy %s ended at %s, and %s is offered instead; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime",
		p.Ended, l.Spec.CryptoPolicyExpirationTime.UTC().Format(time.RFC3339), p.Name)
}
