package snapshot

import "slices"

// Accounts returns "namespace/name" of each user, sorted.
func (s *Snapshot) Accounts() []string {
	out := make([]string, 0, len(s.users))
	for _, u := range s.users {
		out = append(out, u.Account)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Directories returns the directories that users have on a volume, by their paths below it.
func (s *Snapshot) Directories(volume string) map[string]bool {
	out := map[string]bool{}
	for _, u := range s.users {
		for _, m := range u.Mounts {
			if m.Dir == volume {
				out[m.SubPath] = true
			}
		}
	}
	return out
}
