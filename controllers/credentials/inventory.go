package credentials

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

// bounds are what is known about a key besides the key itself.
type bounds struct {
	source              string
	notBefore, notAfter *metav1.Time
	// secret is set if the key's line is in a Secret: its comment may be anything, and readers of the
	// status may not be allowed to read the Secret.
	secret bool
}

// add adds a key, unless it belongs to another user or there is no room for it.
func (r *resolver) add(k publickey.Key, b bounds) {
	fp := k.Fingerprint()
	if r.seen[fp] {
		return
	}
	if owner := r.keyring.Owner(fp); owner != nil && owner.User != r.user.Name {
		r.problem(v1alpha1.ReasonKeyAssignedElsewhere, "The key %s (%s) is assigned to SFTPUser %q by SFTPKey %q; remove it here and give each user a key of its own, or change spec.userRef there",
			fp, b.source, owner.User, owner.Name)
		r.note(k, b, v1alpha1.KeyAssignedElsewhere)
		return
	}
	line := config.Key{PublicKey: k.Line(), NotBefore: utc(b.notBefore), NotAfter: utc(b.notAfter)}
	for _, p := range k.From {
		line.From = append(line.From, p.String())
	}
	if r.size+line.Size() > config.MaxKeySizePerUser {
		r.seen[fp] = true
		r.further++
		return
	}
	if r.note(k, b, "") {
		r.size += line.Size()
		r.out.Keys = append(r.out.Keys, line)
	}
}

// note adds a key to the inventory, if there is room and it is not there yet.
func (r *resolver) note(k publickey.Key, b bounds, state v1alpha1.KeyState) bool {
	fp := k.Fingerprint()
	if r.seen[fp] {
		return false
	}
	r.seen[fp] = true
	if len(r.out.Inventory) == config.MaxKeysPerUser {
		r.further++
		return false
	}
	comment := printable(k.Comment)
	if b.secret {
		comment = ""
	}
	r.out.Inventory = append(r.out.Inventory, v1alpha1.UserKeyStatus{
		Fingerprint: fp, Type: k.Type(), Bits: publickey.Size(k.PublicKey),
		Source: b.source, Comment: comment, NotBefore: b.notBefore, ExpirationTime: b.notAfter, State: state,
	})
	return true
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// maxComment bounds a comment in the inventory, in bytes.
const maxComment = 128

// printable returns a comment that may be shown on a terminal, or nothing.
func printable(comment string) string {
	odd := func(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }
	if len(comment) > maxComment || strings.ContainsFunc(comment, odd) {
		return ""
	}
	return comment
}
