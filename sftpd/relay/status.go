package relay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

const (
	// askEvery is the interval at which pods are asked for the state of their events, and askTime bounds one request.
	askEvery = 10 * time.Second
	askTime  = 3 * time.Second
	// askAtOnce is how many pods are asked at a time.
	askAtOnce = 8
	// maxProblems bounds the problems in a Status.
	maxProblems = 4
)

// counter is a counter that is safe for concurrent use.
type counter struct{ n atomic.Uint64 }

func (c *counter) add() uint64 { return c.n.Add(1) }

// board holds the last answers of the pods.
type board struct {
	mu   sync.Mutex
	pods map[string]*events.Status // nil for one that does not answer
}

func (b *board) setPods(bases []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.pods
	b.pods = map[string]*events.Status{}
	for _, base := range bases {
		b.pods[base] = before[base]
	}
}

func (b *board) bases() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for base := range b.pods {
		out = append(out, base)
	}
	return out
}

func (b *board) note(base string, s *events.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.pods[base]; there {
		b.pods[base] = s
	}
}

// almostFull returns the pods whose events take more than a third of their room. At half, a pod refuses uploads from a user to
// whom all of its events belong.
func (b *board) almostFull() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]bool{}
	for base, s := range b.pods {
		if s != nil && s.Bytes > s.MaxBytes/3 {
			out[base] = true
		}
	}
	return out
}

// watchPods polls the state of the pods' events until ctx ends.
func (r *Relay) watchPods(ctx context.Context) {
	for {
		var asking sync.WaitGroup
		places := make(chan struct{}, askAtOnce)
		for _, base := range r.board.bases() {
			asking.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				ctx, cancel := context.WithTimeout(ctx, askTime)
				defer cancel()
				s, err := r.client.Status(ctx, base)
				if err != nil {
					r.Log.Debug("a pod does not report on its events", "pod", base, "error", err)
				}
				r.board.note(base, s)
			})
		}
		asking.Wait()
		short := r.board.almostFull()
		for _, s := range r.sinks {
			if s.pump != nil {
				s.pump.SetAlmostFull(short)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(askEvery):
		}
	}
}

// state returns what the relay reports: its own part, and the sums of what the pods reported.
func (r *Relay) state() delivery.Status {
	out := delivery.Status{Sinks: make([]delivery.SinkStatus, len(r.sinks))}
	for i, s := range r.sinks {
		of := &out.Sinks[i]
		of.Name, of.Held = s.Name, text(s.Held)
		if s.pump != nil {
			st := s.pump.State()
			of.Delivered, of.LastDelivered = st.Delivered, st.LastDelivered
			of.Failing, of.Reason, of.Suspended = st.Failures, text(st.Reason), text(st.Suspended)
		}
	}
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	out.Pods = len(r.board.pods)
	for _, s := range r.board.pods {
		if s != nil {
			add(&out, s)
		}
	}
	slices.Sort(out.Problems)
	out.Problems = out.Problems[:min(len(out.Problems), maxProblems)]
	return out
}

// add adds what a pod reported.
func add(out *delivery.Status, s *events.Status) {
	out.Answering++
	if !s.Durable {
		out.NotDurable++
	}
	if s.Full {
		out.Full++
	}
	out.Lost += s.Lost
	for _, p := range s.Problems {
		if p = text(p); len(out.Problems) < 4*maxProblems && !slices.Contains(out.Problems, p) {
			out.Problems = append(out.Problems, p)
		}
	}
	for _, of := range s.Sinks {
		i := slices.IndexFunc(out.Sinks, func(o delivery.SinkStatus) bool { return o.Name == of.Name })
		if i < 0 {
			continue
		}
		sum := &out.Sinks[i]
		sum.Pending += max(of.Pending, 0)
		sum.Dead += max(of.Dead, 0)
		sum.Dropped += of.Dropped
		if !of.Oldest.IsZero() && (sum.Oldest.IsZero() || of.Oldest.Before(sum.Oldest)) {
			sum.Oldest = of.Oldest
		}
	}
}

func text(s string) string { return events.Text(s, delivery.MaxText) }
