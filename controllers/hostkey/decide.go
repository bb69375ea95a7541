// Package hostkey decides how a listener goes from the host keys that it has to those that
// are wanted, without a client that meets a key it was not told of. It is pure: it touches no
// client, and equal input gives equal output.
package hostkey

import (
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Key is a host key.
type Key struct {
	// Name of the SFTPKey that it is of, and the revision, 0 for a key that was not generated.
	Name     string
	Revision int32
	// Fingerprint tells keys apart, and Type is as SSH names it.
	Fingerprint, Type string
	// Overlap is how long the key is announced before it becomes Active, and how long the one
	// that it takes over from is Retiring. 0 is for a key that somebody else has got hold of.
	Overlap time.Duration
}

// Held is a key of a listener.
type Held struct {
	Key
	// State, and since when it has it.
	State v1alpha1.HostKeyState
	Since time.Time
	// Next is when the state changes by itself, zero if it does not, or if that waits for
	// WaitingFor.
	Next       time.Time
	WaitingFor v1alpha1.HostKeyWait
}

// Input is what a decision depends on.
type Input struct {
	Now time.Time
	// Wanted are the keys of the spec. Of those of one type the first one is to be Active, and
	// the others are spares that clients learn ahead. It is never empty.
	Wanted []Key
	// Held are the keys as they were decided last. Without any the listener is new, and
	// nobody knows a key of it.
	Held []Held
	// Acknowledged says that every ready pod, and at least one, has loaded Held. A step that
	// pods do not know of yet must not be followed by the next one.
	Acknowledged bool
}

// Plan is a decision.
type Plan struct {
	// Keys to have from now on: one Active one of each type at most, and one at least.
	Keys []Held
	// Changes of states, for events. A listener's first keys are none.
	Changes []Change
}

// Change is a key's change of state. From is "" for one that is new, To for one that is gone.
type Change struct {
	Key
	From, To v1alpha1.HostKeyState
	// Forced says that clients were not told before, because the overlap is 0.
	Forced bool
}

// Next is when to decide again, zero if no time changes anything.
func (p Plan) Next() (at time.Time) {
	for i := range p.Keys {
		if t := p.Keys[i].Next; !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// Decide decides. A key goes one step at a time: Staged until all pods have it, then
// Advertised for its overlap, then Active, where the one before becomes Retiring for the same
// time and is then gone. One key is Retiring at a time, of all types together: a client that
// knows two keys must not lose both before it has learned one of the next.
func Decide(in Input) Plan {
	d := &decision{Input: in}
	for _, k := range in.Wanted {
		if d.wanted(k.Fingerprint) == nil {
			d.want = append(d.want, k)
		}
	}
	if len(in.Held) == 0 {
		return d.first()
	}
	d.take()
	d.force()
	d.step()
	d.takeOver()
	d.tell()
	d.sort()
	return Plan{Keys: d.keys, Changes: d.changes}
}

type decision struct {
	Input
	want    []Key // without duplicates
	keys    []Held
	changes []Change
}

func (d *decision) wanted(fingerprint string) *Key {
	for i := range d.want {
		if d.want[i].Fingerprint == fingerprint {
			return &d.want[i]
		}
	}
	return nil
}

// designated is the wanted key of a type that is to be Active, nil if no key of the type is.
func (d *decision) designated(keyType string) *Key {
	for i := range d.want {
		if d.want[i].Type == keyType {
			return &d.want[i]
		}
	}
	return nil
}

func (d *decision) held(fingerprint string) *Held {
	for i := range d.keys {
		if d.keys[i].Fingerprint == fingerprint {
			return &d.keys[i]
		}
	}
	return nil
}

func (d *decision) active(keyType string) *Held {
	for i := range d.keys {
		if d.keys[i].Type == keyType && d.keys[i].State == v1alpha1.HostKeyActive {
			return &d.keys[i]
		}
	}
	return nil
}

func (d *decision) retiring() bool {
	return slices.ContainsFunc(d.keys, func(h Held) bool { return h.State == v1alpha1.HostKeyRetiring })
}

// first are the keys of a new listener: no pod announces anything else, and no client can be
// surprised.
func (d *decision) first() Plan {
	for _, k := range d.want {
		h := Held{Key: k, State: v1alpha1.HostKeyAdvertised, Since: d.now()}
		if d.designated(k.Type).Fingerprint == k.Fingerprint {
			h.State = v1alpha1.HostKeyActive
		}
		d.keys = append(d.keys, h)
	}
	d.sort()
	return Plan{Keys: d.keys}
}

// now in the precision of a status.
func (d *decision) now() time.Time { return d.Now.Truncate(time.Second) }

// take takes over the keys as they are, but for those that are not wanted any more and that
// no client relies on, and adds those that are new.
func (d *decision) take() {
	for _, h := range d.Held {
		h.Next, h.WaitingFor = time.Time{}, ""
		if h.State == "" {
			h.State = v1alpha1.HostKeyActive // of an operator that knew no states
		}
		if h.Since.IsZero() || h.Since.After(d.Now) {
			// The clock went back. What has been is not undone, and what is to be does not
			// wait for the time that it was wrong by.
			h.Since = d.now()
		}
		w := d.wanted(h.Fingerprint)
		if w != nil {
			h.Key = *w
		}
		if w == nil && (h.State == v1alpha1.HostKeyStaged || h.State == v1alpha1.HostKeyAdvertised) {
			d.note(&h, "", false)
			continue
		}
		d.keys = append(d.keys, h)
	}
	for _, k := range d.want {
		if d.held(k.Fingerprint) == nil {
			d.keys = append(d.keys, Held{Key: k})
			d.move(&d.keys[len(d.keys)-1], v1alpha1.HostKeyStaged, false)
		}
	}
}

func (d *decision) note(h *Held, to v1alpha1.HostKeyState, forced bool) {
	// One that changes twice in a decision has changed once for everybody else.
	for i := range d.changes {
		if c := &d.changes[i]; c.Fingerprint == h.Fingerprint {
			c.To, c.Forced = to, c.Forced || forced
			return
		}
	}
	d.changes = append(d.changes, Change{Key: h.Key, From: h.State, To: to, Forced: forced})
}

func (d *decision) move(h *Held, to v1alpha1.HostKeyState, forced bool) {
	d.note(h, to, forced)
	h.State, h.Since = to, d.now()
}

// end ends what a key was. One that is wanted stays as a spare.
func (d *decision) end(fingerprint string, forced bool) {
	i := slices.IndexFunc(d.keys, func(h Held) bool { return h.Fingerprint == fingerprint })
	if d.wanted(fingerprint) != nil {
		d.move(&d.keys[i], v1alpha1.HostKeyAdvertised, forced)
		return
	}
	d.note(&d.keys[i], "", forced)
	d.keys = slices.Delete(d.keys, i, i+1)
}

// force puts the keys without an overlap in the place of others, at once: a key that somebody
// else has got hold of must not be trusted for two weeks more.
func (d *decision) force() {
	for _, k := range d.want {
		h := d.held(k.Fingerprint)
		if k.Overlap > 0 || h.State == v1alpha1.HostKeyActive || d.designated(k.Type).Fingerprint != k.Fingerprint {
			continue
		}
		before := d.active(k.Type)
		d.move(h, v1alpha1.HostKeyActive, before != nil)
		if before != nil {
			d.end(before.Fingerprint, true)
		}
	}
}

// step takes the steps that change nothing about what key exchanges use.
func (d *decision) step() {
	for _, h := range slices.Clone(d.keys) {
		switch {
		case h.State == v1alpha1.HostKeyStaged && d.Acknowledged && d.wasHeld(h):
			d.move(d.held(h.Fingerprint), v1alpha1.HostKeyAdvertised, false)
		case h.State == v1alpha1.HostKeyRetiring && d.over(h) && (d.Acknowledged || d.overlap(h) == 0):
			d.end(h.Fingerprint, false)
		}
	}
}

// wasHeld says whether a key was there before this decision, in the state that it has: only
// that pods have acknowledged.
func (d *decision) wasHeld(h Held) bool {
	return slices.ContainsFunc(d.Held, func(b Held) bool { return b.Fingerprint == h.Fingerprint && b.State == h.State })
}

// overlap is that of the key that is wanted of the same type, or its own.
func (d *decision) overlap(h Held) time.Duration {
	if k := d.designated(h.Type); k != nil {
		return k.Overlap
	}
	return h.Overlap
}

func (d *decision) ends(h Held) time.Time { return h.Since.Add(d.overlap(h)) }

func (d *decision) over(h Held) bool { return !d.Now.Before(d.ends(h)) }
