package attach

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// handOver moves login names from users that cannot have a login to users that can: otherwise a tenant whose users exceed its
// share could keep any number of names from the others. A name moves only to a user that is accepted with it, in a free
// place, so no one loses a login; the former holder does not get the name back while the new one keeps it. If several users
// ask for it, the order is the same as for a free name.
//
// The names that a backup assigns do not move: their users may be waiting for the rest of the backup.
func (d *decision) handOver(m *Memo, decisions []Decision) {
	refused, logins := d.holdersWithoutLogin(m, decisions)
	if len(refused) == 0 || logins >= MaxUsers(d.Listener) {
		return
	}
	free := d.free(m, decisions)
	var candidates []*verdict
	for _, v := range m.verdicts {
		if v.claimed && !v.holder && refused[v.username] && free[v.user.Namespace] > 0 && d.wouldBeAccepted(v) {
			candidates = append(candidates, v)
		}
	}
	slices.SortFunc(candidates, m.claims.rank)
	moved := map[string]bool{}
	for _, v := range candidates {
		if moved[v.username] || free[v.user.Namespace] == 0 || logins == MaxUsers(d.Listener) {
			continue
		}
		free[v.user.Namespace]--
		logins++
		moved[v.username] = true
		m.claims.holders[v.username].holder = false
		m.claims.holders[v.username], v.holder = v, true
	}
	for i, v := range m.verdicts {
		if v.claimed && moved[v.username] { // including those that did not get it: their messages say who has it
			d.decide(&decisions[i], v, m.claims.holders[v.username])
		}
	}
}

// holdersWithoutLogin returns the contested names that users without a login hold, and how many logins there are.
func (d *decision) holdersWithoutLogin(m *Memo, decisions []Decision) (names map[string]bool, logins int) {
	names = map[string]bool{}
	for i, v := range m.verdicts {
		switch o := &decisions[i]; {
		case o.Accepted():
			logins++
		case !v.holder || m.claims.contested[v.username] == 0 || m.claims.held(v):
		case o.Reason == v1alpha1.ReasonNamespaceFull || o.Reason == v1alpha1.ReasonListenerFull:
			names[v.username] = true
		}
	}
	return names, logins
}

// free returns how many logins the admitted namespaces have left.
func (d *decision) free(m *Memo, decisions []Decision) map[string]int {
	free := map[string]int{}
	for i, v := range m.verdicts {
		if !v.admitted() {
			continue
		}
		if _, known := free[v.user.Namespace]; !known {
			free[v.user.Namespace] = d.rules.maxUsers(v.rule, v.user.Namespace)
		}
		if decisions[i].Accepted() {
			free[v.user.Namespace]--
		}
	}
	return free
}

// wouldBeAccepted reports whether a user that asks for the name of another would be accepted with it.
func (d *decision) wouldBeAccepted(v *verdict) bool {
	with := *v
	with.holder = true
	reason, _ := d.judge(&with, nil)
	return reason == v1alpha1.ReasonAccepted
}
