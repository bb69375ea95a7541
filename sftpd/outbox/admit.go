package outbox

import "errors"

// Errors for uploads that cannot be recorded. Clients see their texts.
var (
	// ErrFull: undelivered events use all of the space.
	ErrFull = errors.New("undelivered events use all of their space, so no upload is accepted; try again later")
	// ErrShare: undelivered events of this user or the user's namespace use their share.
	ErrShare = errors.New("undelivered events of this user use their share of the space, so no upload is accepted; try again later")
	// ErrSlow: the volume does not answer.
	ErrSlow = errors.New("the volume for events does not answer, so no upload is accepted; try again later")
	// ErrUnavailable: the volume rejects writes.
	ErrUnavailable = errors.New("events cannot be recorded, so no upload is accepted; the server's log says why")
)

// use describes how many bytes are used, and by whom.
type use struct {
	max, total, user, namespace int64
	// stranger counts the events of clients that have not logged in.
	stranger bool
}

// admit returns nil if n further bytes of the user may be kept, else ErrFull or ErrShare.
//
// A user may use as much as is still free, and a namespace three times that: a single user gets at most half, a single namespace
// at most three quarters, and there is always room for one more. All clients that have not logged in may together use an eighth
// of what is free, so they take next to nothing from anyone.
func (u use) admit(n int64) error {
	free := u.max - u.total
	switch {
	case n > free:
		return ErrFull
	case u.stranger && u.user+n > free/8, u.user+n > free, u.namespace+n > 3*free:
		return ErrShare
	}
	return nil
}
