package ack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Known is what a listener's configuration has. Of anything else pods are not believed, and
// the room that their reports may take is bounded by it. The functions may be called at any
// time, by several goroutines; nil ones know nothing.
type Known struct {
	// Keys is the number of keys of all users together.
	Keys int
	// User reports whether the listener has a user with this UID.
	User func(uid string) bool
	// Key reports whether a user has a key with this fingerprint, or had it before its last change.
	Key func(uid, fingerprint string) bool
	// HostKey reports whether the listener has a host key with this fingerprint.
	HostKey func(fingerprint string) bool
}

// spareEntries is the room in a report for what is not known any more, such as keys of
// certificates, and proofs of host keys.
const spareEntries = 1000

// limit is the number of entries that a report may have. Whatever has no room in one is in the
// next one, so no number of changes makes a pod's reports unusable.
func (k Known) limit() int { return min(2*max(k.Keys, 0)+spareEntries, config.MaxKeyUses) }

// entrySize is what one entry takes at most, in bytes as JSON: a UID has up to 63 characters, a
// fingerprint 50, a day 10, and their names some 50.
const entrySize = 256

// maxInstance bounds the name of a daemon's process, which is kept between questions.
const maxInstance = 64

// maxReport is the size of a report with that many entries, in bytes.
func maxReport(entries int) int { return entries*entrySize + 4<<10 }

func (k Known) user(uid string) bool { return k.User != nil && k.User(uid) }

func (k Known) use(u config.KeyUse) bool { return k.Key != nil && k.Key(u.UID, u.Fingerprint) }

func (k Known) proof(p config.HostKeyProof) bool {
	return k.user(p.UID) && k.HostKey != nil && k.HostKey(p.Fingerprint)
}

// errTooMany is returned for a report with more entries than were asked for.
var errTooMany = errors.New("it has more entries than were asked for")

// decode reads a report, entry by entry, and keeps only what is known, each once. A report of a
// pod that was taken over has three bytes for an entry that takes 48 in memory.
func (k Known) decode(ctx context.Context, report []byte, limit int) (config.KeyUseReport, error) {
	var r config.KeyUseReport
	d := json.NewDecoder(bytes.NewReader(report))
	days := map[config.KeyUse]bool{}
	proofs := map[config.HostKeyProof]bool{}
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
		}
		var other json.RawMessage // of a later version
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
			return errors.New("a field has no name") // the decoder does not let it come to that
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
