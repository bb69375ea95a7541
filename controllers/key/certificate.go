package key

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/hostcert"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// CertificateEntry is the entry of a host key's Secret with an OpenSSH host certificate for
// the key. The CA's operator writes and renews it.
const CertificateEntry = "ssh-certificate"

// HostCertificate returns the host certificate of a key under a policy, nil if it has none.
// It does not check the validity period: the daemons do that.
func HostCertificate(m Material, policy cryptopolicy.Policy) (*ssh.Certificate, error) {
	if len(m.Certificate) == 0 {
		return nil, nil
	}
	c, err := hostcert.Parse(strings.TrimSpace(string(m.Certificate)), m.Public, policy)
	if err != nil {
		return nil, fmt.Errorf("the entry %q: %w", CertificateEntry, err)
	}
	return c, nil
}

// HostCertificateUnder returns the host certificate of a key if it can be presented under
// each of several policies, nil if it has none. The key is usable even with an error.
func HostCertificateUnder(m Material, policies []cryptopolicy.Policy) (out *ssh.Certificate, err error) {
	for _, p := range policies {
		if out, err = HostCertificate(m, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CertificateEnd returns when a certificate expires, nil for never.
func CertificateEnd(c *ssh.Certificate) *metav1.Time {
	end := publickey.CertificateEnd(c)
	if end.IsZero() {
		return nil
	}
	return new(metav1.NewTime(end))
}

// A certificate should be renewed before its last week, or a short-lived one before the last
// sixth of its lifetime.
const (
	renewalSeconds = 7 * 24 * 3600
	renewalShare   = 6
)

// certificateCondition evaluates the host certificate of a usable key: it returns Ready,
// unchanged if nothing is wrong, what the status shows, and when that changes next, zero
// for never.
func certificateCondition(m Material, ready metav1.Condition, now time.Time) (metav1.Condition, *v1alpha1.HostCertificateStatus, time.Time) {
	policy, err := cryptopolicy.Lookup(cryptopolicy.Default)
	var c *ssh.Certificate
	if err == nil {
		c, err = HostCertificate(m, policy)
	}
	yes := func(reason, format string, args ...any) metav1.Condition {
		return conditions.True(v1alpha1.ConditionReady, reason, fmt.Sprintf(format, args...))
	}
	if err != nil {
		return yes(v1alpha1.ReasonInvalidHostCertificate, "The key works without its host certificate: %v", err), nil, time.Time{}
	}
	if c == nil {
		return ready, nil, time.Time{}
	}
	end := CertificateEnd(c)
	status := &v1alpha1.HostCertificateStatus{
		KeyID: printable(c.KeyId), CAFingerprint: ssh.FingerprintSHA256(c.SignatureKey), ExpirationTime: end,
		PrincipalCount: new(int32(len(c.ValidPrincipals))),
	}
	for _, p := range c.ValidPrincipals[:min(len(c.ValidPrincipals), 32)] {
		if p = printable(p); p != "" {
			status.Principals = append(status.Principals, p)
		}
	}
	if end == nil {
		return ready, status, time.Time{}
	}
	soon := CertificateRenewal(c)
	switch {
	case !now.Before(end.Time):
		return yes(v1alpha1.ReasonHostCertificateExpired, "The host certificate expired at %s, and pods present the key without it; put a new one into %q of the Secret",
			end.UTC().Format(time.RFC3339), CertificateEntry), status, time.Time{}
	case !now.Before(soon):
		return yes(v1alpha1.ReasonHostCertificateExpiring, "The host certificate expires at %s; put a new one into %q of the Secret before then; pods load it at once",
			end.UTC().Format(time.RFC3339), CertificateEntry), status, end.Time
	}
	return ready, status, soon
}

// CertificateRenewal returns when a certificate becomes due for renewal, the zero time if it does not expire.
func CertificateRenewal(c *ssh.Certificate) time.Time {
	end := CertificateEnd(c)
	if end == nil {
		return time.Time{}
	}
	return end.Add(-time.Duration(min(renewalSeconds, (c.ValidBefore-c.ValidAfter)/renewalShare)) * time.Second)
}

// printable returns a CA's text in a form that is safe for a status.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 128)]
}
