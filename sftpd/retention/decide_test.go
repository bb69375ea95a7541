package retention

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func counted(path string, files, due, kept int64) *Counted {
	return &Counted{Path: path, Tally: Tally{Files: files, Due: due, Kept: kept}}
}

func TestDecide(t *testing.T) {
	enforce := config.RetentionRule{Mode: config.RetentionEnforce}
	with := func(change func(*config.RetentionRule)) config.RetentionRule {
		r := enforce
		change(&r)
		return r
	}
	tooLarge := counted("a", 10, 1, 0)
	tooLarge.TooLarge = true
	for _, c := range []struct {
		name    string
		rule    config.RetentionRule
		all     []*Counted
		in      Circumstances
		deletes string // paths
		budget  int64
		halt    config.RetentionHalt
		message string
	}{
		{name: "report", rule: config.RetentionRule{Mode: config.RetentionReport}, all: []*Counted{counted("a", 10, 5, 0)}},
		{name: "an unknown mode reports", rule: config.RetentionRule{}, all: []*Counted{counted("a", 10, 5, 0)}},
		{name: "enforce", rule: enforce, all: []*Counted{counted("a", 10, 5, 0), counted("b", 10, 0, 0)}, deletes: "a", budget: 5},
		{name: "the newest stay", rule: enforce, all: []*Counted{counted("a", 10, 5, 3)}, deletes: "a", budget: 2},
		{name: "first run", rule: enforce, all: []*Counted{counted("a", 10, 5, 0)}, in: Circumstances{Doubt: DoubtFirst}, message: "first run"},
		{name: "new rule", rule: enforce, all: []*Counted{counted("a", 10, 5, 0)}, in: Circumstances{New: true}, message: "only reports"},
		{name: "clock", rule: enforce, all: []*Counted{counted("a", 10, 5, 0)}, in: Circumstances{Doubt: DoubtJumped}, halt: config.HaltClock, message: "was set"},
		{name: "clock of a report", rule: config.RetentionRule{Mode: config.RetentionReport}, in: Circumstances{Doubt: DoubtJumped}},
		{name: "hold is missing, others continue", rule: enforce, all: []*Counted{counted("a", 10, 5, 0)}, in: Circumstances{Halt: config.HaltHold, Detail: "x"}, deletes: "a", budget: 5, halt: config.HaltHold, message: "x"},
		{name: "few files may all go", rule: enforce, all: []*Counted{counted("a", 100, 100, 0)}, deletes: "a", budget: 100},
		{name: "half may go", rule: enforce, all: []*Counted{counted("a", 202, 101, 0)}, deletes: "a", budget: 101},
		{name: "more than half may not", rule: enforce, all: []*Counted{counted("a", 201, 101, 0)}, halt: config.HaltTooMany, message: "101 of 201"},
		{name: "maxPercent", rule: with(func(r *config.RetentionRule) { r.MaxPercent = 100 }), all: []*Counted{counted("a", 201, 201, 0)}, deletes: "a", budget: 201},
		{name: "maxFiles", rule: with(func(r *config.RetentionRule) { r.MaxFiles = 4 }), all: []*Counted{counted("a", 100, 5, 0)}, halt: config.HaltTooMany, message: "maxFiles is 4"},
		{name: "as many as maxFiles", rule: with(func(r *config.RetentionRule) { r.MaxFiles = 5 }), all: []*Counted{counted("a", 100, 5, 0)}, deletes: "a", budget: 5},
		{name: "default of maxFiles", rule: enforce, all: []*Counted{counted("a", 100000, 10001, 0)}, halt: config.HaltTooMany, message: "maxFiles is 10000"},
		{name: "one directory halts itself only", rule: enforce, all: []*Counted{counted("a", 300, 300, 0), counted("b", 10, 3, 0)}, deletes: "b", budget: 3, halt: config.HaltTooMany, message: "300 of 300"},
		{name: "two", rule: enforce, all: []*Counted{counted("a", 300, 300, 0), counted("b", 10, 3, 0), counted("c", 300, 300, 0)}, deletes: "b", budget: 3, halt: config.HaltTooMany, message: "in 2 directories"},
		{name: "too large", rule: enforce, all: []*Counted{tooLarge}, halt: config.HaltTooMany, message: "more than 5000000"},
		{name: "many small directories add up", rule: enforce, all: []*Counted{counted("a", 60, 60, 0), counted("b", 60, 60, 0)}, halt: config.HaltTooMany, message: "120 of 120"},
		{name: "what is kept counts for the sum, too", rule: enforce, all: []*Counted{counted("a", 200, 100, 60), counted("b", 200, 100, 60)}, deletes: "a b", budget: 80},
		{name: "empty directories only", rule: with(func(r *config.RetentionRule) { r.EmptyDirectories = true }), all: []*Counted{counted("a", 5, 0, 0)}, deletes: "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := Decide(c.rule, c.all, c.in)
			var paths []string
			var budget int64
			for _, b := range plan.Delete {
				paths, budget = append(paths, b.Path), budget+b.Files
			}
			if strings.Join(paths, " ") != c.deletes || budget != c.budget || plan.Halt != c.halt || !strings.Contains(plan.Message, c.message) {
				t.Errorf("deletes %q, %d files, halt %q: %s", paths, budget, plan.Halt, plan.Message)
			}
			if c.message == "" && plan.Message != "" {
				t.Errorf("message %s", plan.Message)
			}
		})
	}
}

// The newest files are the ones that sorting finds, and files with the same time stay together.
func TestNewest(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	for seed := range 200 {
		n := &newest{limit: seed % 7}
		var all []int64
		for i := range seed % 23 {
			at := base.Add(time.Duration(i*seed*7919%11) * time.Second)
			all = append(all, at.UnixNano())
			n.add(at, 1)
		}
		slices.Sort(all)
		want := int64(math.MinInt64)
		switch {
		case n.limit == 0:
			want = math.MaxInt64
		case len(all) >= n.limit:
			want = all[len(all)-n.limit]
		}
		if got := n.keepFrom(); got != want {
			t.Fatalf("seed %d: keeps from %d, want %d", seed, got, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.csv", "a.csv", true},
		{"*.csv", "a.csv.gz", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a*b*c", "a__b__b_c", true},
		{"a*b*c", "a__c__b", false},
		{"?.csv", "ü.csv", true},
		{"?.csv", "\xff.csv", true},
		{"?.csv", "ab.csv", false},
		{"[a].csv", "[a].csv", true},
		{"[a].csv", "a.csv", false},
		{"**a", "bba", true},
		{"a?", "a", false},
		{"?", "a", true},
		{"a?", "aü", true},
		{"?", "", false},
		{"*é*", "café.txt", true},
		{strings.Repeat("*a", 100), strings.Repeat("a", 255), true},
		{strings.Repeat("*a", 100) + "b", strings.Repeat("a", 255), false},
	} {
		if got := glob(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, name := range []string{".sftpd-upload.x", ".sftpd-codes", ".sftpd-probe-0123456789abcdef", ".nfs0000000000a1", ownPrefix + "lock"} {
		if matches(nil, name) || matches([]string{"*"}, name) {
			t.Errorf("a rule is about %s", name)
		}
	}
	for name, want := range map[string]bool{
		".sftpd-upload.0123": true, ".sftpd-probe-0123456789abcdef": true, ownPrefix + "lock": false, ownPrefix + "state": false,
		".sftpd-probe-0123456789abcdeg": false, ".sftpd-probe-0123456789abcdef.csv": false, ".sftpd-codes": false, "a.csv": false,
	} {
		if leftover(name) != want {
			t.Errorf("leftover %s: %v", name, !want)
		}
	}
}
