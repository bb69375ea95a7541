package sftp

import "time"

// aloneLimit is for how long requests that keep only the server busy count as activity of the client: with the hash of a
// large file a client waits for the answer, and the connection is not idle. But a sparse file of 16 TiB would keep it open for
// hours, and a window full of such requests for years. It is more than a terabyte takes.
const aloneLimit = time.Hour

// waited is how long reading a request takes at least if the client has been waited for: less than that, it was there.
const waited = time.Millisecond

// part does a part of a request that may take long and for which nobody waits but its client: below a millisecond of work,
// in a turn. It notes the time since the part before as work of the server alone.
func (s *Session) part(work func()) error {
	if w := s.opts.Work; w != nil {
		done, err := w.Turn(s.ctx)
		if err != nil {
			return err
		}
		defer done()
	} else if err := s.ctx.Err(); err != nil {
		return err
	}
	work()
	s.workedAlone()
	return nil
}

// workedAlone adds the time since the last activity to that of the server alone.
func (s *Session) workedAlone() {
	s.alone += time.Duration(time.Now().UnixNano() - s.lastWork)
	s.touch()
}

// pace waits before a request that will have a line in the audit log: who writes much of it waits, and not the others who
// write to it.
func (s *Session) pace(k *kind) error {
	if s.opts.Work == nil || k.audit != always && k.typ != typeOpen {
		return nil
	}
	return s.opts.Work.Pace(s.ctx)
}
