package explain

import (
	"cmp"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// certificate decides on the key's certificate as the daemon does.
func (e *explainer) certificate() {
	const name = "certificate"
	if e.User.Spec.Authentication.Certificates != v1alpha1.CertificatesAccepted {
		e.key.CertificatesNotAccepted = e.add(name, Denied, "the user does not accept certificates: set spec.authentication.certificates to Accepted")
		return
	}
	if e.Listener == nil {
		e.key.CertificatesNotAccepted = e.add(name, Unknown, "you may not read the listener, and therefore not the CAs that it trusts")
		return
	}
	policy, err := cryptopolicy.Lookup(string(e.policyName()))
	if err != nil {
		return // it is reported for the key
	}
	d := judge.Certificate{
		Certificate: e.Certificate, Username: e.username(), Policy: policy, Now: e.Now,
		Source: e.From, SourceUnknown: !e.From.IsValid() || e.hidesAddresses(),
		CANotTrusted: e.notTrusted(), Revoked: e.certificateRevoked(),
	}.Decide()
	switch {
	case d.Reason != "":
		e.key.Certificate = d.Reason
		e.add(name, Denied, "%s%s", d.Reason, in(d.Reason.Meaning()))
	case len(d.Open) > 0:
		e.add(name, Unknown, "not checked: %s; this requires --from, and permission to read the Secrets with the listener's CAs and revoked keys", d.Open)
	default:
		e.add(name, OK, "one of the listener's CAs certifies the key for %q", e.username())
	}
}

func (e *explainer) username() string {
	return cmp.Or(e.decision().Username, e.User.Status.Username)
}

func (e *explainer) notTrusted() judge.Answer {
	wanted := string(e.Certificate.SignatureKey.Marshal())
	for _, line := range e.trusted.UserCAs {
		if key, err := publickey.ParseLine(line); err == nil && string(key.Marshal()) == wanted {
			return judge.No
		}
	}
	if e.trustDenied != "" {
		return judge.Unknown
	}
	return judge.Yes
}

// certificateRevoked compares with the list that the pods have.
func (e *explainer) certificateRevoked() judge.Answer {
	ca := ssh.FingerprintSHA256(e.Certificate.SignatureKey)
	is := config.RevokedCertificate{CA: ca, Serial: e.Certificate.Serial, KeyID: e.Certificate.KeyId}
	if slices.Contains(e.trusted.Revoked.Keys, ca) {
		return judge.Yes
	}
	for _, r := range e.trusted.Revoked.Certificates {
		if r.Names(is) {
			return judge.Yes
		}
	}
	if e.trusted.Unknown || e.trustDenied != "" {
		return judge.Unknown
	}
	return judge.No
}
