package relay

import (
	"crypto/tls"
	"strings"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// Entries of a Secret with a client's certificate, as in Secrets of type kubernetes.io/tls.
const (
	certificateEntry = "tls.crt"
	privateKeyEntry  = "tls.key"
)

// maxPrivate bounds a private key in bytes. An RSA key of 8192 bits has 6,400, and parsing it takes 44 ms; a key of 30 kB
// takes two seconds (measured on 2026-11-30).
const maxPrivate = 8 << 10

// credentials fills in the credentials from the Secrets. It reports what is wrong with a Secret without quoting its content.
func (s *sink) credentials(out *delivery.Sink) {
	a := s.spec.Authentication
	if ref := a.BearerSecretRef; ref != nil {
		out.Bearer = strings.TrimSpace(s.entry(ref.Name, ref.Key))
		if strings.ContainsFunc(out.Bearer, func(r rune) bool { return r <= ' ' || r > '~' }) {
			s.problem(v1alpha1.ReasonInvalidEventSink, "entry %q of Secret %q is not a token: it must be one line of printable ASCII without spaces", ref.Key, ref.Name)
		}
	}
	if ref := a.HMACSecretRef; ref != nil {
		out.HMAC = strings.TrimRight(s.entry(ref.Name, ref.Key), "\r\n")
		if !utf8.ValidString(out.HMAC) { // the relay's configuration is text, so the relay would sign with other bytes
			s.problem(v1alpha1.ReasonInvalidEventSink, "entry %q of Secret %q is not text; write its bytes in base64, after whsec_", ref.Key, ref.Name)
		}
	}
	if ref := a.ClientCertificateSecretRef; ref != nil {
		before := len(s.problems) + len(s.unreadable)
		out.ClientCertificate, out.ClientKey = s.entry(ref.Name, certificateEntry), s.entry(ref.Name, privateKeyEntry)
		switch {
		case len(s.problems)+len(s.unreadable) > before:
			return
		case len(out.ClientKey) > maxPrivate:
			s.problem(v1alpha1.ReasonInvalidEventSink, "%s of Secret %q has more than %d bytes; use a smaller key", privateKeyEntry, ref.Name, maxPrivate)
			return
		}
		if _, err := tls.X509KeyPair([]byte(out.ClientCertificate), []byte(out.ClientKey)); err != nil { // its text may quote the key
			s.problem(v1alpha1.ReasonInvalidEventSink, "tls.crt and tls.key of Secret %q are not a certificate and its private key in PEM format", ref.Name)
		}
	}
}

// entry returns an entry of a Secret, "" after noting what is wrong with it.
func (s *sink) entry(name, key string) string {
	secret := s.Secret(name)
	value, has := secret.Data[key]
	switch {
	case secret.Failure != "":
		s.unreadable = append(s.unreadable, "Secret \""+name+"\" cannot be read: "+secret.Failure)
	case secret.Missing:
		s.problem(v1alpha1.ReasonSecretNotFound, "Secret %q does not exist in namespace %q; create it or correct spec.events.sinks[%s].authentication",
			name, s.Listener.Namespace, s.spec.Name)
	case !has || len(value) == 0:
		s.problem(v1alpha1.ReasonSecretKeyMissing, "Secret %q has no entry %q, or it is empty; add it or correct spec.events.sinks[%s].authentication", name, key, s.spec.Name)
	case len(value) > delivery.MaxCredential:
		s.problem(v1alpha1.ReasonInvalidEventSink, "entry %q of Secret %q has more than %d bytes", key, name, delivery.MaxCredential)
	default:
		return string(value)
	}
	return ""
}
