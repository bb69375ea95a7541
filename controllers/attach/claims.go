package attach

import (
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// claims give every login name to one of the users that ask for it.
type claims struct {
	holders map[string]*verdict
	// contested are the names that several users ask for, and how many more than one.
	contested map[string]int
	// seats are those that the holders were found with, and are of the last decision.
	seats map[types.UID]Seat
	stale bool
}

// remove takes a user out. If others ask for its name as well, all claims are looked at again.
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
		if rank(v.user, before.user, c.holds(v), c.holds(before)) > 0 {
			v.holder = false
			return
		}
		before.holder = false
	}
	c.holders[v.username] = v
}

func (c *claims) holds(v *verdict) bool { return c.seats[v.user.UID].Username == v.username }

// claim brings the claims up to date. Whoever has an admitted namespace and a name that can
// be used asks for it.
func (d *decision) claim(m *Memo) {
	c := &m.claims
	known := c.holders != nil && !c.stale && sameMap(c.seats, d.Seats)
	for _, v := range m.verdicts {
		v.admitted = d.admits(v.user.Namespace)
		asks := v.admitted && v.badName == ""
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
	*c = claims{holders: make(map[string]*verdict, len(m.verdicts)), contested: map[string]int{}, seats: d.Seats}
	for _, v := range m.verdicts {
		v.claimed, v.holder = false, false
		v.seat = d.Seats[v.user.UID]
		if v.admitted && v.badName == "" {
			c.add(v)
		}
	}
}

// seats are what users hold after the decisions.
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
			kept++ // in the map, with another value
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

// rank orders two users that want the same thing. Either may hold it already.
func rank(a, b *v1alpha1.SFTPUser, aHolds, bHolds bool) int {
	switch {
	case aHolds == bHolds:
		return bySeniority(a, b)
	case aHolds:
		return -1
	}
	return 1
}

// sameMap reports whether two maps are the same one, not only equal.
func sameMap(a, b map[types.UID]Seat) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
