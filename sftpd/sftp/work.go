package sftp

import "time"

// aloneLimit is how long requests that keep only the server busy count as client activity: a client that waits for the hash
// of a large file is not idle. But hashing a sparse file of 16 TiB would keep the connection open for hours, and a window
// full of such requests for years. The limit is longer than a terabyte takes.
const aloneLimit = time.Hour

// waited is the minimum time that reading a request takes if the server had to wait for the client: if it takes less,
// the request had already arrived.
const waited = time.Millisecond

// part does one part of a long request that only its client waits for: less than a millisecond of work, in a turn. It counts the
// time since the previous part as work of the server alone.
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

// inParts is part for work that may be short: earlier replies are sent when there is more than one part. It sets ended if the
// session is over.
func (s *Session) inParts(ended *bool) func(work func()) error {
	parts := 0
	return func(work func()) (err error) {
		if parts++; parts == 2 {
			err = s.flush()
		}
		if err == nil {
			err = s.part(work)
		}
		*ended = err != nil
		return err
	}
}

// workedAlone adds the time since the last activity to the server's own working time.
func (s *Session) workedAlone() {
	s.alone += time.Duration(time.Now().UnixNano() - s.lastWork)
	s.touch()
}

// pace waits before a request that will be logged in the audit log: a user that causes many lines is slowed down, and other users
// are not.
func (s *Session) pace(k *kind) error {
	if s.opts.Work == nil || k.audit != always && k.typ != typeOpen {
		return nil
	}
	return s.opts.Work.Pace(s.ctx)
}
