package vfs

// Turn waits for a turn to work briefly without waiting for the client, and returns a function that ends it. An error
// ends the work: the session is over.
type Turn func() (done func(), err error)

// WithTurns bounds the work that unusual paths can cause: long walks of links, and removing leftovers of interrupted
// uploads. Without it, only the work's own limits apply.
func WithTurns(turn Turn) Option { return func(t *Tree) { t.turn = turn } }

// pause waits for a turn between two parts of long work.
func (t *Tree) pause() error {
	if t.turn == nil {
		return nil
	}
	done, err := t.turn()
	if err == nil {
		done()
	}
	return err
}
