package snapshot

import "time"

// KeysEnding calls do for each key that expires after one time but not after another, in no particular order.
func (s *Snapshot) KeysEnding(after, until time.Time, do func(*User, *Key)) {
	for _, u := range s.users {
		for _, k := range u.keys {
			if k.NotAfter.After(after) && !k.NotAfter.After(until) { // zero is for never
				do(u, k)
			}
		}
	}
}
