package ack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Known describes a listener's configuration. Reports from pods about anything else are
// ignored, and it bounds the size of their reports. The functions must be safe for
// concurrent use; nil ones know nothing.
type Known struct {
	// Keys is the number of keys of all users together.
	Keys int
	// User reports whether the listener has a user with this UID.
	User func(uid string) bool
	// Key reports whether a user has a key with this fingerprint, or had it before its last change (so that late
	// reports count).
	Key func(uid, fingerprint string) bool
	// HostKey reports whether the listener has a host key with this fingerprint.
	HostKey func(fingerprint string) bool
}

// spareEntries is the room in a report for entries that are no longer known, such as
// keys of certificates, and for proofs of host keys.
const spareEntries = 1000

// limit returns the number of entries that a report may have. The rest goes into the next
// report, so no number of changes makes a pod's reports unusable.
func (k Known) limit() int { return min(2*max(k.Keys, 0)+spareEntries, config.MaxKeyUses) }

// entrySize is the maximum size of an entry, in bytes of JSON. The longest entries are those of
// refused logins: a UID has up to 63 characters, a reason 64, an address 45, a fingerprint 50,
// each of two times 20, a count 20, and their names some 80.
const entrySize = 384

// maxRefusalReason bounds the reasons of refused logins.
const maxRefusalReason = 64

// maxInstance bounds the name of a daemon's process, which is kept between requests.
const maxInstance = 64

// maxReport returns the maximum size of a report with that many entries, in bytes.
func maxReport(entries int) int { return entries*entrySize + 4<<10 }

func (k Known) user(uid string) bool { return k.User != nil && k.User(uid) }

func (k Known) use(u config.KeyUse) bool { return k.Key != nil && k.Key(u.UID, u.Fingerprint) }

func (k Known) proof(p config.HostKeyProof) bool {
	return k.user(p.UID) && k.HostKey != nil && k.HostKey(p.Fingerprint)
}

// refusal reports whether an entry is for a user of the listener, and has the shape that a daemon gives it.
func (k Known) refusal(r config.LoginRefusals) bool {
	if !k.user(r.UID) || r.Count == 0 || r.Since.IsZero() || r.Last.Before(r.Since) {
		return false
	}
	if r.Source != "" {
		if a, err := netip.ParseAddr(r.Source); err != nil || a.Zone() != "" {
			return false
		}
	}
	notWord := func(c rune) bool { return (c < 'a' || c > 'z') && c != '_' }
	return r.Reason != "" && len(r.Reason) <= maxRefusalReason && !strings.ContainsFunc(r.Reason, notWord) &&
		(r.Fingerprint == "" || fingerprint.MatchString(r.Fingerprint))
}

// fingerprint matches a SHA-256 fingerprint as OpenSSH prints it.
var fingerprint = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

// errTooMany is returned for a report with more entries than were asked for.
var errTooMany = errors.New("it has more entries than were asked for")

// decode reads a report, entry by entry, and keeps only known entries, each once. In a
// compromised pod's report, an entry of three bytes can take 48 in memory.
func (k Known) decode(ctx context.Context, report []byte, limit int) (config.KeyUseReport, error) {
	var r config.KeyUseReport
	d := json.NewDecoder(bytes.NewReader(report))
	days := map[config.KeyUse]bool{}
	proofs := map[config.HostKeyProof]bool{}
	refused := map[string]bool{}
	entries := func(each func() error) error {
		return eachElement(d, func() error {
			if limit--; limit < 0 {
				return errTooMany
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return each()
		})
	}
	err := eachField(d, func(name string) error {
		switch name {
		case "instance":
			return d.Decode(&r.Instance)
		case "sequence":
			return d.Decode(&r.Sequence)
		case "more":
			return d.Decode(&r.More)
		case "uses":
			return entries(func() error {
				var u config.KeyUse
				err := d.Decode(&u)
				if err == nil && k.use(u) && !days[u] {
					days[u] = true
					r.Uses = append(r.Uses, u)
				}
				return err
			})
		case "hostKeyProofs":
			return entries(func() error {
				var p config.HostKeyProof
				err := d.Decode(&p)
				if err == nil && k.proof(p) && !proofs[p] {
					proofs[p] = true
					r.HostKeyProofs = append(r.HostKeyProofs, p)
				}
				return err
			})
		case "refusals":
			return entries(func() error {
				return k.decodeRefusal(d, refused, &r)
			})
		}
		var other json.RawMessage // a field of a later version
		return d.Decode(&other)
	})
	if err == nil && len(r.Instance) > maxInstance {
		err = errors.New("its instance is too long")
	}
	if err != nil {
		return config.KeyUseReport{}, fmt.Errorf("its report on keys cannot be read: %w", err)
	}
	return r, nil
}

// eachField reads an object, and the end of the input after it. The function reads the values.
func eachField(d *json.Decoder, value func(name string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("a field has no name") // the decoder prevents this
		}
		if err := value(name); err != nil {
			return err
		}
	}
	if err := expect(d, '}'); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}

// eachElement reads an array, or null. The function reads the elements.
func eachElement(d *json.Decoder, element func() error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return errors.New("an array is missing")
	}
	for d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && t != want {
		err = fmt.Errorf("%q is missing", want.String())
	}
	return err
}

// decodeRefusal reads an entry, and keeps it if it is known and the first of its user.
func (k Known) decodeRefusal(d *json.Decoder, refused map[string]bool, r *config.KeyUseReport) error {
	var e config.LoginRefusals
	if err := d.Decode(&e); err != nil {
		return err
	}
	if k.refusal(e) && !refused[e.UID] {
		refused[e.UID] = true
		r.Refusals = append(r.Refusals, e)
	}
	return nil
}
