package main

import (
	"fmt"
	"io"
	"slices"
)

// tally counts mutants.
type tally struct{ all, noticed, late, accepted int } // late are some of those that are noticed

func (t *tally) add(o tally) {
	t.all += o.all
	t.noticed += o.noticed
	t.late += o.late
	t.accepted += o.accepted
}

// percent returns the share of noticed mutants among those that should be noticed.
func (t *tally) percent() string {
	if t.all == t.accepted {
		return "all"
	}
	return fmt.Sprintf("%.1f %% of those not accepted", 100*float64(t.noticed)/float64(t.all-t.accepted))
}

// judge counts a package's results and returns what differs from the list of accepted mutants.
func judge(r *result, accepted map[entryKey]string, partial bool) []string {
	var problems []string
	found := map[entryKey]verdict{}
	for _, m := range r.mutants {
		v := r.verdicts[m]
		found[m.key()] = v
		r.tally.all++
		switch {
		case v.isNoticed():
			r.tally.noticed++
			if v == late {
				r.tally.late++
			}
		case accepted[m.key()] != "" && v != untried:
			r.tally.accepted++
		default:
			problems = append(problems, fmt.Sprintf("%s: %s", v, m))
		}
	}
	for key := range accepted {
		switch v, ok := found[key]; {
		case !ok && !partial:
			problems = append(problems, fmt.Sprintf("accepted, but there is no such mutant anymore: %s: %s", key.Function, key.text()))
		case v.isNoticed():
			problems = append(problems, fmt.Sprintf("accepted, but noticed: %s: %s", key.Function, key.text()))
		}
	}
	slices.Sort(problems)
	return problems
}

// report prints every mutant with its result.
func report(w io.Writer, r *result, accepted map[entryKey]string, verbose bool) {
	if !verbose {
		return
	}
	for _, m := range r.mutants {
		v := string(r.verdicts[m])
		if !r.verdicts[m].isNoticed() && accepted[m.key()] != "" {
			v += ", accepted"
		}
		_, _ = fmt.Fprintf(w, "  %s: %s\n", v, m)
	}
}
