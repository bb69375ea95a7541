package snapshot

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// refused holds the users who are known but cannot log in.
type refused struct {
	names map[string]*config.RefusedUser
	uids  map[string]*config.RefusedUser
}

func newRefused(users []config.RefusedUser) refused {
	r := refused{make(map[string]*config.RefusedUser, len(users)), make(map[string]*config.RefusedUser, len(users))}
	for i := range users {
		r.names[users[i].Username], r.uids[users[i].UID] = &users[i], &users[i]
	}
	return r
}

// WhyUnknown returns why a login name that Lookup does not find cannot log in.
func (s *Snapshot) WhyUnknown(username string) event.Reason {
	return reasonOf(s.refused.names[username], event.UnknownUser)
}

// WhyGone returns why a user who was logged in is no longer found by Lookup.
func (s *Snapshot) WhyGone(uid string) event.Reason {
	return reasonOf(s.refused.uids[uid], event.UserRemoved)
}

// UIDOf returns the UID of the user with a login name, who may be suspended or expired; "" if there is none.
func (s *Snapshot) UIDOf(username string) string {
	if u, ok := s.users[username]; ok {
		return u.UID
	}
	if u := s.refused.names[username]; u != nil {
		return u.UID
	}
	return ""
}

// KnowsUser reports whether there is a user with this UID, who may be suspended or expired.
func (s *Snapshot) KnowsUser(uid string) bool { return s.HasUser(uid) || s.refused.uids[uid] != nil }

// KnownKey reports whether a key, by its fingerprint, is one that a refused user had.
func (s *Snapshot) KnownKey(username, fingerprint string) bool {
	u := s.refused.names[username]
	return u != nil && slices.Contains(u.Keys, fingerprint)
}

func reasonOf(u *config.RefusedUser, otherwise event.Reason) event.Reason {
	switch {
	case u == nil:
		return otherwise
	case u.Reason == config.RefusedSuspended:
		return event.UserSuspended
	}
	return event.UserExpired
}
