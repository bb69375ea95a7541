package hostkey

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// takeOver makes keys Active whose time has come, and makes those that they replace, or that
// are no longer wanted, Retiring.
func (d *decision) takeOver() {
	for _, k := range d.want {
		h := d.held(k.Fingerprint)
		if d.designated(k.Type).Fingerprint == k.Fingerprint && d.mayTakeOver(*h) == "" {
			before := d.active(k.Type)
			d.move(h, v1alpha1.HostKeyActive, false)
			if before != nil {
				d.move(before, v1alpha1.HostKeyRetiring, false)
			}
		}
	}
	for _, h := range slices.Clone(d.keys) {
		if !d.leaves(h) || d.mayLeave(h) != "" {
			continue
		}
		if h.Overlap == 0 {
			d.end(h.Fingerprint, true)
			continue
		}
		d.move(d.held(h.Fingerprint), v1alpha1.HostKeyRetiring, false)
	}
}

// notYet means that a time has to pass first, and already that there is nothing to wait for.
const (
	notYet  v1alpha1.HostKeyWait = "NotYet"
	already v1alpha1.HostKeyWait = "Already"
)

// mayTakeOver returns what the designated key of a type waits for to become Active, "" for nothing.
func (d *decision) mayTakeOver(h Held) v1alpha1.HostKeyWait {
	switch h.State {
	case v1alpha1.HostKeyActive:
		return already
	case v1alpha1.HostKeyRetiring:
		return "" // wanted again: clients still know it, and it takes the other one's place
	case v1alpha1.HostKeyStaged:
		return v1alpha1.HostKeyWaitPods
	case v1alpha1.HostKeyAdvertised:
	}
	switch {
	case !d.over(h):
		return notYet
	case d.active(h.Type) != nil && d.retiring():
		return v1alpha1.HostKeyWaitRetiringKey
	case !d.Acknowledged || !d.wasHeld(h):
		return v1alpha1.HostKeyWaitPods
	}
	return ""
}

// leaves reports whether a key is Active although no key of its type is wanted.
func (d *decision) leaves(h Held) bool {
	return h.State == v1alpha1.HostKeyActive && d.designated(h.Type) == nil
}

// mayLeave returns what such a key waits for, "" for nothing. The wanted keys must be Active first: a client that has not
// learned any of them yet still relies on this one.
func (d *decision) mayLeave(h Held) v1alpha1.HostKeyWait {
	for i := range d.want {
		k := d.designated(d.want[i].Type)
		if d.held(k.Fingerprint).State != v1alpha1.HostKeyActive {
			return v1alpha1.HostKeyWaitNewKey
		}
	}
	switch {
	case h.Overlap == 0:
		return ""
	case d.retiring():
		return v1alpha1.HostKeyWaitRetiringKey
	case !d.Acknowledged || len(d.changes) > 0:
		return v1alpha1.HostKeyWaitPods
	}
	return ""
}

// setNextTransition sets when each key changes, or what it waits for.
func (d *decision) setNextTransition() {
	for i := range d.keys {
		h := &d.keys[i]
		wait := already
		switch {
		case h.State == v1alpha1.HostKeyRetiring:
			if wait = notYet; d.over(*h) {
				wait = v1alpha1.HostKeyWaitPods
			}
		case h.State == v1alpha1.HostKeyStaged:
			wait = v1alpha1.HostKeyWaitPods
		case d.leaves(*h):
			wait = d.mayLeave(*h)
		case h.State == v1alpha1.HostKeyAdvertised && d.designated(h.Type).Fingerprint == h.Fingerprint:
			wait = d.mayTakeOver(*h)
		}
		switch wait {
		case already:
		case notYet:
			h.Next = d.ends(*h)
		default:
			h.WaitingFor = wait
		}
	}
}

// sort puts the keys that key exchanges use first, in the order in which they are wanted.
func (d *decision) sort() {
	rank := func(h Held) int {
		return slices.Index([]v1alpha1.HostKeyState{
			v1alpha1.HostKeyActive, v1alpha1.HostKeyAdvertised, v1alpha1.HostKeyStaged, v1alpha1.HostKeyRetiring,
		}, h.State)
	}
	place := func(h Held) int {
		i := slices.IndexFunc(d.want, func(k Key) bool { return k.Fingerprint == h.Fingerprint })
		if i < 0 {
			return len(d.want)
		}
		return i
	}
	slices.SortStableFunc(d.keys, func(a, b Held) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(place(a), place(b)), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
}
