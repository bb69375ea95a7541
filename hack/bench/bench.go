package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/bench/client"
	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// workLimit bounds the time of one round of one server. The longest takes seconds.
const workLimit = 10 * time.Minute

// bench is a run.
type bench struct {
	sizes
	place   *servers.Place
	servers []*servers.Server
	out     io.Writer
	// content is transferred, digest is its SHA-256, and received is where downloads go.
	content, received []byte
	digest            [sha256.Size]byte
	// failures has the errors so far. The run continues, so that one failing server does not cost the others' results.
	failures []error
}

func newBench(place *servers.Place, all []*servers.Server, s sizes, out io.Writer) *bench {
	b := &bench{sizes: s, place: place, servers: all, out: out, content: make([]byte, s.stream), received: make([]byte, s.stream)}
	// Random, so that nothing in between can compress it or confuse its parts, and the same in each run.
	_, _ = rand.NewChaCha8([32]byte{}).Read(b.content)
	b.digest = sha256.Sum256(b.content)
	return b
}

// run runs the matching groups.
func (b *bench) run(ctx context.Context, only *regexp.Regexp) ([]report.Workload, error) {
	var results []report.Workload
	for _, g := range b.plan() {
		if !only.MatchString(g.id) {
			continue
		}
		fmt.Fprintf(b.out, "%s\n", g.title)
		for _, s := range b.servers {
			if err := s.Restart(ctx); err != nil {
				return nil, err
			}
		}
		for _, w := range g.workloads {
			result, err := b.rounds(ctx, w)
			if err != nil {
				return nil, err
			}
			result.Group = g.title
			results = append(results, result)
		}
	}
	return results, errors.Join(b.failures...)
}

// rounds lets each server do the work in turn: A B C A B C. That way, other activity on the machine affects all of them
// alike. The first round, with cold caches, does not count.
func (b *bench) rounds(ctx context.Context, w workload) (report.Workload, error) {
	result := report.Workload{ID: w.id, Title: w.title, Cells: make([]report.Cell, len(b.servers))}
	begin := time.Now()
	for i, s := range b.servers {
		result.Cells[i] = report.Cell{Server: s.Label, Values: map[string][]float64{}}
		if w.prepare != nil {
			if err := w.prepare(s); err != nil {
				return result, err
			}
		}
	}
	first, last := 0, b.sizes.rounds
	if w.once {
		first, last = 1, 1
	}
	for round := first; round <= last; round++ {
		for i, s := range b.servers {
			if result.Cells[i].Note != "" {
				continue
			}
			b.round(ctx, w, s, &result.Cells[i], round > 0)
			if err := ctx.Err(); err != nil {
				return result, err
			}
		}
	}
	if w.cleanUp != nil {
		for _, s := range b.servers {
			if err := w.cleanUp(s); err != nil {
				return result, err
			}
		}
	}
	fmt.Fprintf(b.out, "  %-45s %5.1f s\n", w.title, time.Since(begin).Seconds())
	return result, nil
}

func (b *bench) round(ctx context.Context, w workload, s *servers.Server, cell *report.Cell, counts bool) {
	v, err := w.run(ctx, s)
	switch {
	case errors.Is(err, client.ErrUnsupported):
		cell.Note, cell.Values = "n/a", nil
	case err != nil:
		cell.Note, cell.Values = "failed", nil
		if ctx.Err() == nil {
			b.failures = append(b.failures, fmt.Errorf("%s, %s: %w", s.Label, w.id, err))
			fmt.Fprintf(b.out, "  %s, %s: %v\n", s.Label, w.id, err)
		}
	case counts:
		for metric, value := range v {
			cell.Values[metric] = append(cell.Values[metric], value)
		}
	}
}
