package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = "hack/mutate/testdata/sample"

// atRoot changes to the root of the module, where make runs the tool.
func atRoot(t *testing.T) {
	t.Helper()
	t.Chdir("../..")
	t.Setenv("SFTP_OPERATOR_CACHE", t.TempDir())
}

func trySample(t *testing.T, only string) *result {
	t.Helper()
	o := options{jobs: 1, bound: time.Minute, cache: true, slowest: time.Minute, only: regexp.MustCompile(only)}
	r, err := tryPackage(t.Context(), pack{path: sample}.withOwn(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// withVerdict returns the mutants of a verdict, as "function: change".
func withVerdict(r *result, v verdict) (out []string) {
	for _, m := range r.mutants {
		if r.verdicts[m] == v {
			out = append(out, m.function+": "+m.change)
		}
	}
	slices.Sort(out)
	return out
}

// The sample's tests notice all except those that they are meant to miss.
func TestSample(t *testing.T) {
	atRoot(t)
	r := trySample(t, "")
	if got, want := withVerdict(r, survived), []string{"Sum: 100 -> 100 - 1", "Sum: v < 100 -> true", "Sum: v < 100 -> v <= 100", "Sum: v > 0 -> v >= 0"}; !slices.Equal(got, want) {
		t.Errorf("survived\n%q\nwant\n%q", got, want)
	}
	if got := withVerdict(r, unreached); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "Idle: ") }) {
		t.Errorf("not reached: %q", got)
	}
	noted := withVerdict(r, noticed)
	for _, want := range []string{
		"Name: removed: s = strings.TrimSpace(s)", "Name: strings.TrimSpace(s) -> s", "Name: len(s) > limit -> len(s) >= limit", "Name: len(s) > limit -> true",
		`Name: errors.New("too long") -> zero`, "Name: s -> zero", "Sum: removed: n += v", "Sum: v > 0 -> true", "limit: 10 -> 10 + 1", "limit: 10 -> 10 - 1",
		"Sum: the loop does nothing: for _, v := range list", "Sum: the loop ends after its first turn: for _, v := range list", "Sum: n -> zero",
	} {
		if !slices.Contains(noted, want) {
			t.Errorf("not noticed: %s", want)
		}
	}
	// A second run has the same results, and builds nothing.
	started := time.Now()
	again := trySample(t, "")
	if !slices.Equal(withVerdict(again, survived), withVerdict(r, survived)) || !slices.Equal(withVerdict(again, noticed), noted) {
		t.Error("the second run has different results")
	}
	t.Logf("the second run took %s", time.Since(started))
}

// A test that takes too long is left out, and is not the same as one that fails.
func TestSlowTestsAreLeftOut(t *testing.T) {
	atRoot(t)
	t.Setenv("SAMPLE_IS_SLOW", "true")
	s, err := load(t.Context(), sample)
	if err != nil {
		t.Fatal(err)
	}
	together, _ := sortOut(s, find(s))
	b, err := build(t.Context(), s, guarded(s, together), sample, "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.measure(t.Context(), 5*time.Second); err != nil || !slices.Equal(b.left, []string{"TestSlow"}) {
		t.Errorf("left out: %q, %v", b.left, err)
	}
	if got := b.test(t.Context(), 0, nil, time.Minute); got.verdict != survived {
		t.Errorf("without it: %+v", got)
	}
	if got := b.test(t.Context(), 0, []oneTest{{name: "TestSlow"}}, time.Second); got.verdict != late || !got.verdict.isNoticed() {
		t.Errorf("only that: %+v", got)
	}
}

// Each entry of the list must be a mutant that is not noticed, and each survivor must be listed.
func TestJudge(t *testing.T) {
	atRoot(t)
	accepted := map[entryKey]string{}
	r := trySample(t, "")
	for _, m := range r.mutants {
		if !r.verdicts[m].isNoticed() {
			accepted[m.key()] = "in this test"
		}
	}
	if problems := judge(r, accepted, false); len(problems) > 0 || r.tally.accepted != len(accepted) || r.tally.percent() != "100.0 % of those not accepted" {
		t.Errorf("%q, %+v", problems, r.tally)
	}
	for _, m := range r.mutants {
		if r.verdicts[m] == survived {
			delete(accepted, m.key())
			break
		}
	}
	for _, m := range r.mutants {
		if r.verdicts[m] == noticed {
			accepted[m.key()] = "wrongly"
			break
		}
	}
	accepted[entryKey{Function: "Gone", Change: "x -> y", Nth: 1}] = "it was there once"
	var got []string
	for _, p := range judge(r, accepted, false) {
		kind, _, _ := strings.Cut(p, ":")
		got = append(got, kind)
	}
	if want := []string{"accepted, but noticed", "accepted, but there is no such mutant anymore", "survived"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Mutants are disabled unless enabled explicitly, and each compiles.
func TestGuardsCompile(t *testing.T) {
	atRoot(t)
	for _, path := range []string{sample, "controllers/attach", "sftpd/contract/config"} {
		s, err := load(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		all := find(s)
		together, single := sortOut(s, all)
		if err := s.check(guarded(s, together)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if 10*len(single) > 2*len(all) {
			t.Errorf("%s: %d of %d mutants each need their own build", path, len(single), len(all))
		}
		seen := map[entryKey]bool{}
		for _, m := range all {
			if seen[m.key()] {
				t.Errorf("%s has the name of another mutant", m)
			}
			seen[m.key()] = true
		}
	}
}

func TestReadAccepted(t *testing.T) {
	if _, err := readAccepted("accepted.yaml"); err != nil {
		t.Error(err)
	}
	for text, say := range map[string]string{
		"p:\n- {function: f, change: c}\n": "has no reason",
		"p:\n- {function: f, change: c, reason: r}\n- {function: f, change: c, nth: 1, reason: r}\n": "listed twice",
		"p:\n- {function: f, change: c, reason: r, line: 7}\n":                                       "unknown field",
	} {
		path := filepath.Join(t.TempDir(), "a.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readAccepted(path); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %q", err, say)
		}
	}
}

// A sample has as many mutants as asked for, in their order, is the same for the same seed, and is chosen from those that match.
func TestChosenMutants(t *testing.T) {
	atRoot(t)
	s, err := load(t.Context(), sample)
	if err != nil {
		t.Fatal(err)
	}
	all := find(s)
	o := options{only: regexp.MustCompile(""), sample: 5, seed: 1}
	first := o.choose(all)
	if len(first) != 5 || !o.partial() || !slices.Equal(o.choose(all), first) {
		t.Fatalf("%v, and again %v", first, o.choose(all))
	}
	last := -1
	for _, m := range first {
		at := slices.Index(all, m)
		if at <= last {
			t.Errorf("%v is not in order", m)
		}
		last = at
	}
	o.seed = 2
	if slices.Equal(o.choose(all), first) {
		t.Error("a different seed chooses the same")
	}
	one := options{only: regexp.MustCompile("^" + regexp.QuoteMeta(all[3].match()) + "$"), sample: 5}
	if got := one.choose(all); !slices.Contains(got, all[3]) || slices.Contains(got, all[0]) {
		t.Errorf("%v", got)
	}
	if got := (options{only: regexp.MustCompile("")}).choose(all); !slices.Equal(got, all) {
		t.Errorf("%d of %d", len(got), len(all))
	}
}
