// Package inventory lists the public keys that log in: whose they are, where they come from, and what is remarkable
// about them. It is pure, but for what it reads through a Source.
package inventory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/publickey"
)

// States of a key.
const (
	// Active: the operator admits it. Pending: it does not yet, or not any more.
	Active  = "Active"
	Pending = "Pending"
	// Invalid: it cannot be used, Note says why.
	Invalid = "Invalid"
	// Suspended and Expired are those of its user.
	Suspended = "Suspended"
	Expired   = "Expired"
	// Unknown: what refers to it could not be read, Note says why.
	Unknown = "Unknown"
)

// Key is one key of one user.
type Key struct {
	Namespace string `json:"namespace"`
	User      string `json:"user"`
	Listener  string `json:"listener"` // namespace/name
	// Fingerprint is empty of a key that cannot be read.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Type as SSH names it. Bits of an RSA modulus or of a curve.
	Type string `json:"type,omitempty"`
	Bits int    `json:"bits,omitempty"`
	// Origin is what holds the key: "spec", "Secret NAME" or "SFTPKey NAME".
	Origin string `json:"origin"`
	// Comment and From of the line.
	Comment string   `json:"comment,omitempty"`
	From    []string `json:"from,omitempty"`
	// ExpirationTime is that of the user.
	ExpirationTime *time.Time `json:"expirationTime,omitempty"`
	State          string     `json:"state"`
	// SharedWith are other users with the same key, as namespace/name, among those that were listed.
	SharedWith []string `json:"sharedWith,omitempty"`
	Note       string   `json:"note,omitempty"`
}

// Of lists the keys of users, sorted by namespace, user and their order there.
func Of(ctx context.Context, users []v1alpha1.SFTPUser, src credentials.Source, now time.Time) ([]Key, error) {
	out := []Key{}
	for i := range users {
		l := lister{user: &users[i], now: now, src: src}
		if err := l.all(ctx); err != nil {
			return nil, err
		}
		out = append(out, l.keys...)
	}
	slices.SortStableFunc(out, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.User, b.User))
	})
	markShared(out)
	return out, nil
}

type lister struct {
	user *v1alpha1.SFTPUser
	now  time.Time
	src  credentials.Source
	keys []Key
}

func (l *lister) all(ctx context.Context) error {
	auth := l.user.Spec.Authentication
	for _, line := range auth.AuthorizedKeys {
		l.line("spec", line)
	}
	for _, ref := range auth.AuthorizedKeysSecretRefs {
		origin := "Secret " + ref.Name
		s, err := l.src.Secret(ctx, l.user.Namespace, ref.Name)
		if ok, err := l.readable(origin, err); !ok {
			if err != nil {
				return err
			}
			continue
		}
		l.file(origin, s.Data[cmp.Or(ref.Key, "authorized_keys")])
	}
	for _, ref := range auth.KeyRefs {
		origin := "SFTPKey " + ref.Name
		line, err := l.src.ClientKey(ctx, l.user.Namespace, ref.Name)
		if ok, err := l.readable(origin, err); !ok {
			if err != nil {
				return err
			}
			continue
		}
		l.line(origin, line)
	}
	l.unaccounted()
	return nil
}

// readable says whether something that holds keys was read. What the user must put right, or what the caller may not
// read, is a line of the inventory.
func (l *lister) readable(origin string, err error) (bool, error) {
	var p *credentials.Problem
	var denied *DeniedError
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, credentials.ErrNotFound):
		l.add(Key{Origin: origin, State: Invalid, Note: "it does not exist"})
	case errors.As(err, &p):
		l.add(Key{Origin: origin, State: Invalid, Note: p.Message})
	case errors.As(err, &denied):
		l.add(Key{Origin: origin, State: Unknown, Note: denied.Error()})
	default:
		return false, fmt.Errorf("%s: %w", origin, err)
	}
	return false, nil
}

// DeniedError is what a Source returns for what the caller may not read.
type DeniedError struct{ Kind, Namespace, Name string }

func (e *DeniedError) Error() string {
	return fmt.Sprintf("you may not read %s %s/%s", e.Kind, e.Namespace, e.Name)
}

func (l *lister) file(origin string, data []byte) {
	for line := range bytes.Lines(data) {
		if s := strings.TrimSpace(string(line)); s != "" && !strings.HasPrefix(s, "#") {
			l.line(origin, s)
		}
	}
}

func (l *lister) line(origin, line string) {
	k := Key{Origin: origin}
	if public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
		k.Fingerprint, k.Type, k.Bits, k.Comment = ssh.FingerprintSHA256(public), public.Type(), bits(public), comment
	}
	parsed, err := publickey.ParseLine(line)
	if err != nil {
		k.State, k.Note = Invalid, err.Error()
	}
	for _, p := range parsed.From {
		k.From = append(k.From, p.String())
	}
	l.add(k)
}

// add completes a key with what is its user's.
func (l *lister) add(k Key) {
	u := l.user
	k.Namespace, k.User = u.Namespace, u.Name
	k.Listener = cmp.Or(u.Spec.ListenerRef.Namespace, u.Namespace) + "/" + u.Spec.ListenerRef.Name
	if t := u.Spec.ExpirationTime; t != nil {
		k.ExpirationTime = new(t.UTC())
	}
	switch {
	case k.State != "":
	case k.ExpirationTime != nil && !l.now.Before(*k.ExpirationTime):
		k.State = Expired
	case u.Spec.State == v1alpha1.UserSuspended:
		k.State = Suspended
	case slices.Contains(u.Status.KeyFingerprints, k.Fingerprint):
		k.State = Active
	default:
		k.State, k.Note = Pending, "the operator does not admit it; see kubectl sftp status "+u.Name
	}
	l.keys = append(l.keys, k)
}

// unaccounted adds the keys that the operator admits and that stand in nothing that was read.
func (l *lister) unaccounted() {
	seen := map[string]bool{}
	for _, k := range l.keys {
		seen[k.Fingerprint] = true
	}
	for _, fp := range l.user.Status.KeyFingerprints {
		if !seen[fp] {
			l.add(Key{Fingerprint: fp, Origin: "status", Note: "from something that could not be read"})
		}
	}
}

func markShared(keys []Key) {
	holders := map[string][]string{}
	for _, k := range keys {
		holder := k.Namespace + "/" + k.User
		if k.Fingerprint != "" && !slices.Contains(holders[k.Fingerprint], holder) {
			holders[k.Fingerprint] = append(holders[k.Fingerprint], holder)
		}
	}
	for i := range keys {
		for _, h := range holders[keys[i].Fingerprint] {
			if h != keys[i].Namespace+"/"+keys[i].User {
				keys[i].SharedWith = append(keys[i].SharedWith, h)
			}
		}
	}
}

// ed25519Bits is the size of the curve's points.
const ed25519Bits = 256

func bits(public ssh.PublicKey) int {
	if n := (publickey.Key{PublicKey: public}).Bits(); n != 0 {
		return n
	}
	if c, ok := public.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*ecdsa.PublicKey); ok {
			return k.Curve.Params().BitSize
		}
	}
	switch public.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return ed25519Bits
	}
	return 0
}
