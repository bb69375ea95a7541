// Command mutate changes one thing at a time in a package, such as a comparison, a constant, a check or a statement,
// and reports the changes that its tests do not notice. See docs/development/mutation.md.
//
//	make mutate                          # all packages of packages.go
//	make mutate PKG=./controllers/attach # one
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	jobs    int
	bound   time.Duration
	only    *regexp.Regexp
	verbose bool
	cache   bool
	entries bool
	trust   bool
	slowest time.Duration
	sample  int
	seed    uint64
}

func main() {
	var o options
	flag.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "mutants tried at the same time")
	flag.DurationVar(&o.bound, "time", 20*time.Minute, "time for one package; a second run continues")
	flag.DurationVar(&o.slowest, "slowest", 10*time.Minute, "leave out tests that take longer")
	flag.BoolVar(&o.verbose, "v", false, "print every mutant with its result")
	flag.BoolVar(&o.cache, "cache", true, "use the results of earlier runs of the same code and tests")
	flag.BoolVar(&o.entries, "entries", false, "print the entries of "+acceptedFile+" for the survivors, to accept some of them")
	flag.BoolVar(&o.trust, "trust", false, "do not try again what earlier tests noticed, even if the code or the tests have changed since")
	flag.IntVar(&o.sample, "sample", 0, "try only this many mutants, chosen at random, for packages whose tests are slow; 0 for all")
	flag.Uint64Var(&o.seed, "seed", 1, "which sample: the same seed chooses the same mutants of the same code")
	only := flag.String("only", "", "mutants that match this regular expression: \"file.go Function: change\"")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(ctx, o, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		stop()
		os.Exit(1)
	}
}

// run tries the packages and fails if a result is not the expected one.
func run(ctx context.Context, o options, patterns []string) error {
	accepted, err := readAccepted(acceptedFile)
	if err != nil {
		return err
	}
	packages, err := selectPackages(ctx, patterns)
	if err != nil {
		return err
	}
	var total tally
	var failed []error
	for _, p := range packages {
		started := time.Now()
		r, err := tryPackage(ctx, p, o)
		if err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		problems := judge(r, accepted[p.path], o.partial())
		report(os.Stdout, r, accepted[p.path], o.verbose)
		fmt.Printf("%-24s noticed %4d of %4d (%s), %d of them by a time limit only, %d accepted, %d problems, %s\n", p.path,
			r.tally.noticed, r.tally.all, r.tally.percent(), r.tally.late, r.tally.accepted, len(problems), time.Since(started).Round(time.Second))
		for _, problem := range problems {
			fmt.Println("  " + problem)
		}
		if len(problems) > 0 {
			failed = append(failed, fmt.Errorf("%s: %d problems", p.path, len(problems)))
		}
		total.add(r.tally)
		if o.entries {
			if err := writeEntries(os.Stdout, r, accepted[p.path]); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%-24s noticed %4d of %4d (%s), %d accepted\n", "all", total.noticed, total.all, total.percent(), total.accepted)
	return errors.Join(failed...)
}

// partial reports whether only some of a package's mutants are tried.
func (o options) partial() bool { return o.only.String() != "" || o.sample > 0 }

// choose returns the mutants to try, in their order.
func (o options) choose(all []*mutant) []*mutant {
	asked := slices.DeleteFunc(slices.Clone(all), func(m *mutant) bool { return !o.only.MatchString(m.match()) })
	if o.sample == 0 || o.sample >= len(asked) {
		return asked
	}
	chosen := map[int]bool{}
	for _, i := range rand.New(rand.NewPCG(o.seed, 0)).Perm(len(asked))[:o.sample] { //nolint:gosec // a sample is no secret
		chosen[i] = true
	}
	var out []*mutant
	for i, m := range asked {
		if chosen[i] {
			out = append(out, m)
		}
	}
	return out
}
