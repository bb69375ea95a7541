package vfs

// Turn waits for a place to work for a moment without waiting for the client, and returns how to give it back. An error
// ends the work: the session is over.
type Turn func() (done func(), err error)

// WithTurns bounds the work that a path of the user's can cause beyond what paths of people do: walks of links and the
// removal of what interrupted uploads have left. Without it that work has no bound but its own.
func WithTurns(turn Turn) Option { return func(t *Tree) { t.turn = turn } }

// pause waits for a turn between two parts of long work, which it counts as one.
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
