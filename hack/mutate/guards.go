package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// guardsFile is added to the package: mutants are switched on by the environment of the test's process, so that a
// package is compiled and linked once for all of them, not once for each.
const guardsFile = "mutant_guards_generated.go"

const guardsCode = `
import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

var mutantActive = func() int { n, _ := strconv.Atoi(os.Getenv("MUTANT")); return n }()

var mutantSeen = struct {
	sync.Mutex
	file *os.File
	ids  map[int]bool
}{file: func() *os.File {
	if os.Getenv("MUTANT_TRACE") == "" {
		return nil
	}
	f, err := os.OpenFile(os.Getenv("MUTANT_TRACE"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return f
}(), ids: map[int]bool{}}

func mutantOn(id int) bool {
	if mutantSeen.file != nil {
		mutantSeen.Lock()
		if !mutantSeen.ids[id] {
			mutantSeen.ids[id] = true
			fmt.Fprintln(mutantSeen.file, id)
		}
		mutantSeen.Unlock()
	}
	return id == mutantActive
}

func mutantZero[T any](on bool, v T) T {
	if on {
		return *new(T)
	}
	return v
}
`

// guarded returns the files of the package with the mutants in them, all switched off.
func guarded(s *source, mutants []*mutant) map[string]string {
	texts := map[string]string{guardsFile: "package " + s.name + "\n" + guardsCode}
	for _, f := range s.files {
		var own []*mutant
		for _, m := range mutants {
			if m.file == f {
				own = append(own, m)
			}
		}
		// A range comes before those in it, and among equal ones any can be the outer.
		slices.SortStableFunc(own, func(a, b *mutant) int { return cmp.Or(a.start-b.start, b.end-a.end) })
		texts[f.name] = weave(string(f.text), own, 0, len(f.text))
	}
	return texts
}

// weave returns the text between two offsets with the mutants that are within.
func weave(text string, mutants []*mutant, from, to int) string {
	var b strings.Builder
	for len(mutants) > 0 {
		m := mutants[0]
		inner := 1
		for inner < len(mutants) && mutants[inner].start < m.end {
			inner++
		}
		b.WriteString(text[from:m.start])
		b.WriteString(m.guard(fmt.Sprintf("mutantOn(%d)", m.id), weave(text, mutants[1:inner], m.start, m.end)))
		from, mutants = m.end, mutants[inner:]
	}
	b.WriteString(text[from:to])
	return b.String()
}

// plain returns the files of the package with one mutant instead of the original code.
func plain(s *source, m *mutant) map[string]string {
	texts := guarded(s, nil)
	text := string(m.file.text)
	texts[m.file.name] = text[:m.start] + m.plain + text[m.end:]
	return texts
}

// sortOut divides mutants into those that can share one build and those that each need their own. It drops those that do not compile.
func sortOut(s *source, all []*mutant) (together, single []*mutant) {
	var rest []*mutant
	for _, m := range all {
		if m.guard == nil {
			rest = append(rest, m)
		} else {
			together = append(together, m)
		}
	}
	together, failed := divide(s, together)
	for _, m := range append(rest, failed...) {
		if s.check(plain(s, m)) == nil {
			single = append(single, m)
		}
	}
	return together, single
}

// divide returns the mutants whose guards compile, and those whose guards do not.
func divide(s *source, mutants []*mutant) (good, bad []*mutant) {
	switch {
	case len(mutants) == 0 || s.check(guarded(s, mutants)) == nil:
		return mutants, nil
	case len(mutants) == 1:
		return nil, mutants
	}
	good, bad = divide(s, mutants[:len(mutants)/2])
	g, b := divide(s, mutants[len(mutants)/2:])
	return append(good, g...), append(bad, b...)
}
