package pump

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/queue"
)

// Pauses after a pod that could not be read.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// pulled is what a reader has read from a pod. Results of an earlier reader of the same address are ignored: they may be about
// different events, or the same events again.
type pulled struct {
	base  string
	of    *pod
	lines []events.Line
	// again is set if the pod's events differ from those before, so what is known about it is no longer valid.
	again bool
}

// setPods starts to read new pods, and forgets those that are gone.
func (p *Pump) setPods(ctx context.Context, bases []string, readers *sync.WaitGroup) {
	for base, is := range p.pods {
		if !slices.Contains(bases, base) {
			is.stop()
			delete(p.pods, base)
			p.queue.Drop(base)
		}
	}
	for _, base := range bases {
		if p.pods[base] != nil {
			continue
		}
		reading, stop := context.WithCancel(ctx)
		of := &pod{stop: stop}
		p.pods[base] = of
		readers.Go(func() { p.read(reading, base, of) })
	}
}

// read reads a pod's events until ctx ends.
func (p *Pump) read(ctx context.Context, base string, of *pod) {
	after, pause := "", firstPause
	for ctx.Err() == nil {
		asked := time.Now()
		lines, admitted, err := p.pull(ctx, base, after)
		again := errors.Is(err, events.ErrOtherLog) && after != ""
		if err == nil && len(lines) == 0 && time.Since(asked) < firstPause {
			err = errHasty
		}
		switch {
		case again:
			after = ""
		case err != nil:
			if ctx.Err() == nil {
				p.Log.Debug("a pod's events cannot be read", "sink", p.Sink, "pod", base, "error", err)
			}
			sleep(ctx, pause)
			pause = min(2*pause, maxPause)
			continue
		case len(lines) > 0:
			after = lines[len(lines)-1].Cursor
		}
		pause = firstPause
		if len(lines) == 0 && !again {
			continue
		}
		select {
		case p.batches <- pulled{base, of, lines, again}:
		case <-ctx.Done():
		}
		if admitted {
			p.admitted.Add(-1)
		}
	}
}

// errHasty: a pod should wait for an event before it answers that there is none. A pod that does not wait must not be asked
// continuously.
var errHasty = errors.New("the pod answers without waiting for events")

// pull waits until a pod has events, and then until there is room for them. Only then does it read more than one event:
// those of all pods together do not fit into memory.
func (p *Pump) pull(ctx context.Context, base, after string) (lines []events.Line, admitted bool, err error) {
	asking, cancel := context.WithTimeout(ctx, events.MaxWait+reportTime)
	defer cancel()
	first, err := p.Source.Pull(asking, base, events.Query{Sink: p.Sink, After: after, Limit: 1, Wait: events.MaxWait})
	if err != nil || len(first) == 0 {
		return nil, false, err
	}
	select {
	case <-p.admit:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	reading, stop := context.WithTimeout(ctx, reportTime)
	defer stop()
	lines, err = p.Source.Pull(reading, base, events.Query{Sink: p.Sink, After: after, Limit: batch})
	if err != nil || len(lines) == 0 {
		return first, true, nil // the next request returns the error, if it persists
	}
	return lines, true, nil
}

// take adds a pod's events to the queue. Those that are not for the sink are settled at once.
func (p *Pump) take(b pulled) {
	if p.pods[b.base] != b.of {
		return
	}
	if b.again {
		p.queue.Drop(b.base)
	}
	filtered := 0
	for _, l := range b.lines {
		e := parse(l.Event)
		if e == nil || !p.Wants(e) {
			filtered++
			p.queue.Skip(b.base, l.Cursor)
			continue
		}
		p.queue.Add(&queue.Entry{Stream: b.base, Cursor: l.Cursor, Key: e.Key, Happened: e.Time, Body: e.Raw})
	}
	p.publish(func(s *State) { s.Filtered += uint64(filtered) })
}

// parse returns what the relay needs to know about an event, or nil if it is not one.
func parse(raw json.RawMessage) *Event {
	var head struct {
		ID   string    `json:"id"`
		Key  string    `json:"partitionkey"`
		Time time.Time `json:"time"`
	}
	if err := json.Unmarshal(raw, &head); err != nil || head.ID == "" {
		return nil
	}
	// A copy: the answer that it was read from is larger.
	return &Event{Raw: bytes.Clone(raw), ID: head.ID, Key: head.Key, Time: head.Time}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
