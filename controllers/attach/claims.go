package attach

import (
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/types"
)

// claims assigns every login name to one of the users that ask for it.
type claims struct {
	holders map[string]*verdict
	// contested has the names that several users ask for, and how many beyond the first.
	contested map[string]int
	// seats are those of the last decision, from which the holders were determined.
	seats map[types.UID]Seat
	// earlier are the Holders of the input.
	earlier map[string]types.NamespacedName
	stale   bool
}

// remove removes a user. If others ask for its name as well, all claims are checked again.
func (c *claims) remove(v *verdict) {
	if !v.claimed {
		return
	}
	switch {
	case c.contested[v.username] > 0:
		c.stale = true
	default:
		delete(c.holders, v.username)
	}
	v.claimed, v.holder = false, false
}

// add adds a user.
func (c *claims) add(v *verdict) {
	v.claimed, v.holder = true, true
	before := c.holders[v.username]
	if before != nil {
		c.contested[v.username]++
		if c.rank(v, before) > 0 {
			v.holder = false
			return
		}
		before.holder = false
	}
	c.holders[v.username] = v
}

func (c *claims) holds(v *verdict) bool { return c.seats[v.user.UID].Username == v.username }

// held reports whether a user had its name before the listener was restored.
func (c *claims) held(v *verdict) bool {
	who, ok := c.earlier[v.username]
	return ok && who == types.NamespacedName{Namespace: v.user.Namespace, Name: v.user.Name}
}

// rank orders two users that ask for the same name.
func (c *claims) rank(a, b *verdict) int {
	if aHeld, bHeld := c.held(a), c.held(b); aHeld != bHeld {
		return order(aHeld)
	}
	if aHolds, bHolds := c.holds(a), c.holds(b); aHolds != bHolds {
		return order(aHolds)
	}
	return bySeniority(a.user, b.user)
}

func order(first bool) int {
	if first {
		return -1
	}
	return 1
}

// claim brings the claims up to date. Every user with an admitted namespace and a usable
// name asks for it.
func (d *decision) claim(m *Memo) {
	c := &m.claims
	known := c.holders != nil && !c.stale && sameMap(c.seats, d.Seats) && sameMap(c.earlier, d.Holders)
	for _, v := range m.verdicts {
		v.judgeUnder(d.rules, d.rules.of(v.user.Namespace, d.NamespaceLabels))
		asks := v.admitted() && v.badName == ""
		switch {
		case !known || v.claimed == asks:
		case asks:
			c.add(v)
		default:
			c.remove(v)
		}
	}
	if known && !c.stale {
		return
	}
	*c = claims{holders: make(map[string]*verdict, len(m.verdicts)), contested: map[string]int{}, seats: d.Seats, earlier: d.Holders}
	for _, v := range m.verdicts {
		v.claimed, v.holder = false, false
		v.seat = d.Seats[v.user.UID]
		if v.admitted() && v.badName == "" {
			c.add(v)
		}
	}
}

// seats returns what users hold after the decisions.
func (d *decision) seats(m *Memo, decisions []Decision) map[types.UID]Seat {
	held, kept := 0, 0
	var changed []int
	for i, v := range m.verdicts {
		if !v.holder {
			continue
		}
		held++
		s := Seat{Username: v.username, Login: decisions[i].Accepted()}
		if v.seat == s {
			kept++
			continue
		}
		if v.seat != (Seat{}) {
			kept++ // in the map with a different value
		}
		v.seat = s
		changed = append(changed, i)
	}
	out := d.Seats
	switch {
	case d.Seats == nil || kept != len(d.Seats):
		out = make(map[types.UID]Seat, held)
		for _, v := range m.verdicts {
			if v.holder {
				out[v.user.UID] = v.seat
			}
		}
	case len(changed) > 0:
		out = maps.Clone(d.Seats)
		for _, i := range changed {
			out[m.verdicts[i].user.UID] = m.verdicts[i].seat
		}
	}
	for _, v := range m.verdicts {
		if !v.holder {
			v.seat = Seat{}
		}
	}
	m.claims.seats = out
	return out
}

// sameMap reports whether two maps are the same one, not only equal.
func sameMap[M map[types.UID]Seat | map[string]types.NamespacedName](a, b M) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
