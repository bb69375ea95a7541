package main

import (
	"fmt"
	"strings"
)

// mutant is one change to the code.
type mutant struct {
	id       int
	file     *file
	line     int
	function string // that contains it, such as Input.judge, or the variable or constant
	within   string // the statement or condition, on one line
	change   string // what is replaced with what
	nth      int    // among equal ones of the function, from 1

	start, end int // of the text that is replaced, as offsets in the file
	// guard returns code that behaves like inner, or like the mutant if it is enabled. It is empty when only plain can express
	// the change.
	guard func(on, inner string) string
	// plain is the changed code on its own.
	plain string
}

// key names a mutant without a line number.
func (m *mutant) key() entryKey {
	return entryKey{Function: m.function, Within: m.within, Change: m.change, Nth: m.nth}
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d %s: %s", m.file.name, m.line, m.function, m.key().text())
}

// match returns the text that -only is compared with.
func (m *mutant) match() string {
	return fmt.Sprintf("%s %s: %s", m.file.name, m.function, m.key().text())
}

// text describes the change.
func (k entryKey) text() string {
	s := k.Change
	if k.Within != "" {
		s += "  in  " + k.Within
	}
	if k.Nth > 1 {
		s += fmt.Sprintf("  (#%d)", k.Nth)
	}
	return s
}

// oneLine shortens code for a report and a key.
func oneLine(code string) string {
	const limit = 140
	var lines []string
	for line := range strings.Lines(code) {
		// A comment would swallow what follows on the same line.
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "//") {
			lines = append(lines, line)
		}
	}
	s := strings.Join(lines, " ")
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "..."
	}
	return s
}

// number assigns the ids and counts equal mutants.
func number(all []*mutant) {
	seen := map[entryKey]int{}
	for i, m := range all {
		m.id = i + 1
		k := m.key()
		seen[k]++
		m.nth = seen[k]
	}
}
