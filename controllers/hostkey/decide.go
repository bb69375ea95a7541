// Package hostkey decides how a listener moves from its current host keys to the wanted ones,
// so that clients never meet a key that was not announced to them. It is pure: it touches no
// client, and equal input gives equal output.
package hostkey

import (
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Key is a host key.
type Key struct {
	// Name of its SFTPKey, and the revision, 0 for a key that was not generated.
	Name     string
	Revision int32
	// Fingerprint identifies the key, and Type is its name in SSH.
	Fingerprint, Type string
	// Overlap is how long the key is announced before it becomes Active, and how long its
	// predecessor is Retiring. 0 is for replacing a compromised key.
	Overlap time.Duration
}

// Held is a key of a listener.
type Held struct {
	Key
	// State, and since when.
	State v1alpha1.HostKeyState
	Since time.Time
	// Next is when the state changes automatically, zero if it does not, or if it waits for
	// WaitingFor.
	Next       time.Time
	WaitingFor v1alpha1.HostKeyWait
}

// Input is what a decision depends on.
type Input struct {
	Now time.Time
	// Wanted are the keys of the spec. The first one of each type is to become Active, and the others are spares that clients
	// learn in advance. It is never empty.
	Wanted []Key
	// Held are the keys as last decided. If there are none, the listener is new, and no
	// client knows its keys.
	Held []Held
	// Acknowledged is set if every ready pod, and at least one, has loaded Held. The next
	// step must wait until pods have the previous one.
	Acknowledged bool
}

// Plan is a decision.
type Plan struct {
	// Keys to have from now on: at most one Active key of each type, and at least one in total.
	Keys []Held
	// Changes of states, for events. A listener's first keys are not among them.
	Changes []Change
}

// Change is a key's change of state. From is "" for a new key, To for one that is gone.
type Change struct {
	Key
	From, To v1alpha1.HostKeyState
	// Forced is set if the change was not announced to clients, because the overlap is 0.
	Forced bool
}

// Next returns when to decide again, zero if no time changes anything.
func (p Plan) Next() (at time.Time) {
	for i := range p.Keys {
		if t := p.Keys[i].Next; !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// Decide plans the next step of a host-key rotation. A key advances one step at a time:
// Staged until all pods have it, then Advertised for its overlap, then Active, when its
// predecessor becomes Retiring for the same time and is then removed. Only one key is
// Retiring at a time, across all types: a client that knows two keys must not lose both
// before it has learned a new one.
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
	d.carryOver()
	d.applyForced()
	d.advance()
	d.takeOver()
	d.setNextTransition()
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

// designated returns the wanted key of a type that is to become Active, nil if there is none.
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

// first returns the keys of a new listener: no pod announces anything else, and no client knows a different key.
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

// now returns the time with the precision of a status.
func (d *decision) now() time.Time { return d.Now.Truncate(time.Second) }

// carryOver copies the current keys, except for those that are no longer wanted and that no
// client relies on, and adds the new ones.
func (d *decision) carryOver() {
	for _, h := range d.Held {
		h.Next, h.WaitingFor = time.Time{}, ""
		if h.State == "" {
			h.State = v1alpha1.HostKeyActive // of an operator that knew no states
		}
		if h.Since.IsZero() || h.Since.After(d.Now) {
			// The clock was set back. Past steps are not undone, and future ones do not
			// wait for the difference.
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
	// Two changes to a key in one decision count as a single one.
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

// end ends a key's role. A wanted key stays as a spare.
func (d *decision) end(fingerprint string, forced bool) {
	i := slices.IndexFunc(d.keys, func(h Held) bool { return h.Fingerprint == fingerprint })
	if d.wanted(fingerprint) != nil {
		d.move(&d.keys[i], v1alpha1.HostKeyAdvertised, forced)
		return
	}
	d.note(&d.keys[i], "", forced)
	d.keys = slices.Delete(d.keys, i, i+1)
}

// applyForced replaces keys at once if there is no overlap: a compromised key must not be
// trusted for two more weeks.
func (d *decision) applyForced() {
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

// advance takes the steps that do not change which keys key exchanges use.
func (d *decision) advance() {
	for _, h := range slices.Clone(d.keys) {
		switch {
		case h.State == v1alpha1.HostKeyStaged && d.Acknowledged && d.wasHeld(h):
			d.move(d.held(h.Fingerprint), v1alpha1.HostKeyAdvertised, false)
		case h.State == v1alpha1.HostKeyRetiring && d.over(h) && (d.Acknowledged || d.overlap(h) == 0):
			d.end(h.Fingerprint, false)
		}
	}
}

// wasHeld reports whether a key already had its state before this decision: pods have
// acknowledged only that.
func (d *decision) wasHeld(h Held) bool {
	return slices.ContainsFunc(d.Held, func(b Held) bool { return b.Fingerprint == h.Fingerprint && b.State == h.State })
}

// overlap returns the overlap of the wanted key of the same type, or the key's own.
func (d *decision) overlap(h Held) time.Duration {
	if k := d.designated(h.Type); k != nil {
		return k.Overlap
	}
	return h.Overlap
}

func (d *decision) ends(h Held) time.Time { return h.Since.Add(d.overlap(h)) }

func (d *decision) over(h Held) bool { return !d.Now.Before(d.ends(h)) }
