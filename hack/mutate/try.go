package main

import (
	"context"
	"os"
	"sync"
	"time"
)

// verdict is the result for a mutant.
type verdict string

const (
	noticed   verdict = "noticed"
	late      verdict = "noticed by a time limit only" // an endless loop, or a busy machine
	survived  verdict = "survived"
	unreached verdict = "not reached by a test"
	untried   verdict = "not tried: time is up"
)

// isNoticed reports whether a test failed.
func (v verdict) isNoticed() bool { return v == noticed || v == late }

// result of a package.
type result struct {
	path     string
	mutants  []*mutant
	verdicts map[*mutant]verdict
	tally    tally
}

// attempt is the work on one package.
type attempt struct {
	pack
	options
	*source
	scratch string
	past    *history
	started time.Time

	mu       sync.Mutex
	verdicts map[*mutant]verdict

	measured map[string]*binary // by the package of the tests
}

// tryPackage tries the mutants of a package, without those whose result is known.
func tryPackage(ctx context.Context, p pack, o options) (*result, error) {
	s, err := load(ctx, p.path)
	if err != nil {
		return nil, err
	}
	a := &attempt{pack: p, options: o, source: s, verdicts: map[*mutant]verdict{}, measured: map[string]*binary{}, started: time.Now()}
	if a.scratch, err = os.MkdirTemp("", "mutate"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(a.scratch) }()
	if a.past, err = openHistory(ctx, p, o.cache); err != nil {
		return nil, err
	}
	all := o.choose(find(s))
	left := a.unknown(all)
	if len(left) > 0 {
		together, single := sortOut(s, left)
		if err := a.tryTogether(ctx, together); err != nil {
			return nil, err
		}
		a.trySingle(ctx, single)
		compiled := map[*mutant]bool{}
		for _, m := range append(together, single...) {
			compiled[m] = true
		}
		for _, m := range left {
			if !compiled[m] {
				a.note(m, "")
			}
		}
		if err := a.past.save(); err != nil {
			return nil, err
		}
	}
	r := &result{path: p.path, verdicts: a.verdicts}
	for _, m := range all {
		if a.verdicts[m] != "" {
			r.mutants = append(r.mutants, m)
		}
	}
	return r, ctx.Err()
}

// unknown returns the mutants whose result is not known.
func (a *attempt) unknown(all []*mutant) []*mutant {
	var left []*mutant
	for _, m := range all {
		if v, ok := a.past.Verdicts[m.String()]; ok {
			a.verdicts[m] = v
			continue
		}
		if a.trust && a.past.Noticed[m.match()] {
			a.note(m, noticed)
			continue
		}
		left = append(left, m)
	}
	return left
}

func (a *attempt) note(m *mutant, v verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdicts[m] = v
	if v != untried {
		a.past.Verdicts[m.String()] = v
		if v.isNoticed() {
			a.past.Noticed[m.match()] = true
		} else {
			delete(a.past.Noticed, m.match())
		}
	}
}

// tryTogether tries mutants that one build holds.
func (a *attempt) tryTogether(ctx context.Context, mutants []*mutant) error {
	if len(mutants) == 0 {
		return nil
	}
	var binaries []*binary
	for _, tests := range a.tests {
		b, err := build(ctx, a.source, guarded(a.source, mutants), tests, a.skip, a.scratch)
		if err != nil {
			return err
		}
		if err := b.measure(ctx, a.slowest); err != nil {
			return err
		}
		binaries, a.measured[tests] = append(binaries, b), b
	}
	var wg sync.WaitGroup
	queue := make(chan *mutant)
	for range a.jobs {
		wg.Go(func() {
			for m := range queue {
				if time.Since(a.started) > a.bound || ctx.Err() != nil {
					a.note(m, untried)
					continue
				}
				if v := try(ctx, m, binaries); ctx.Err() == nil {
					a.note(m, v)
				}
			}
		})
	}
	for _, m := range mutants {
		queue <- m
	}
	close(queue)
	wg.Wait()
	return nil
}

// try runs the tests that reach a mutant until one of them fails: the quick ones together, and then each of the others.
func try(ctx context.Context, m *mutant, binaries []*binary) verdict {
	v := unreached
	for _, b := range binaries {
		for _, tests := range b.reaching(m) {
			if v = b.test(ctx, m.id, tests, limit(tests)).verdict; v.isNoticed() {
				return v
			}
		}
	}
	return v
}

// trySingle tries mutants that each need their own build.
func (a *attempt) trySingle(ctx context.Context, mutants []*mutant) {
	for _, m := range mutants {
		if time.Since(a.started) > a.bound || ctx.Err() != nil {
			a.note(m, untried)
			continue
		}
		v := survived
		for _, tests := range a.tests {
			b, err := build(ctx, a.source, plain(a.source, m), tests, a.skip, a.scratch)
			if err != nil {
				v = "" // tests that do not compile with it, such as one with a constant of its own
				break
			}
			longest := 2 * time.Minute
			if m := a.measured[tests]; m != nil {
				b.left, longest = m.left, limit([]oneTest{{took: m.took}})
			}
			if v = b.test(ctx, 0, nil, longest).verdict; v.isNoticed() {
				break
			}
		}
		if ctx.Err() == nil {
			a.note(m, v)
		}
	}
}
