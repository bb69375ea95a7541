package credentials

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// Seed returns what an entry had according to the record that an earlier operator delivered, and whether it had anything.
// It is not Known: the entry still has to be read. Until then, no user is logged out because the operator restarted.
//
// A record does not say where its keys come from; the user's status does.
func Seed(ref Ref, u *v1alpha1.SFTPUser, delivered config.User) (e Entry, ok bool) {
	switch ref.Kind {
	case KindKeys:
		e.Keys = seedKeys(ref, u, delivered)
	case KindPassword, KindHash:
		if p := delivered.Password; p != nil && seeds(ref, p.Source) {
			e.Password = p
		}
	case KindTOTP:
		e.TOTP = delivered.TOTP
	case KindFile:
	}
	return e, len(e.Keys) > 0 || e.Password != nil || e.TOTP != nil
}

func seedKeys(ref Ref, u *v1alpha1.SFTPUser, delivered config.User) (out []publickey.Key) {
	from := map[string]bool{}
	for i := range u.Status.Keys {
		if u.Status.Keys[i].Source == "secret/"+ref.Secret {
			from[u.Status.Keys[i].Fingerprint] = true
		}
	}
	if len(from) == 0 {
		return nil
	}
	for _, k := range delivered.Keys {
		line := k.PublicKey
		if len(k.From) > 0 {
			line = `from="` + strings.Join(k.From, ",") + `" ` + line
		}
		if parsed, err := publickey.ParseLine(line); err == nil && from[parsed.Fingerprint()] {
			out = append(out, parsed)
		}
	}
	return out
}

// seeds reports whether the source of a password, "<uid>/<version>/<entry>" with "#hash" after a hash that was made elsewhere,
// is an entry.
func seeds(ref Ref, source string) bool {
	entry, hash := strings.CutSuffix(source, "#hash")
	return strings.HasSuffix(entry, "/"+ref.Entry) && hash == (ref.Kind == KindHash)
}
