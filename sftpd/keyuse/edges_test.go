package keyuse

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func nobody(string) bool { return false }

func anybody(string) bool { return true }

// uses returns how many entries a book has.
func uses(b *Tracker) int { return len(b.Since("", 0, config.MaxKeyUses).Uses) }

// TestToldOf: a caller acknowledges only what it has received from this book, never more than there was, and the acknowledged
// position never moves back.
func TestToldOf(t *testing.T) {
	for name, tc := range map[string]struct {
		ask  func(b *Tracker, last uint64)
		left int
	}{
		"asked from the start":      {func(b *Tracker, _ uint64) { b.Since(b.instance, 0, 9) }, 3},
		"of another process":        {func(b *Tracker, last uint64) { b.Since("another", last, 9) }, 3},
		"has all":                   {func(b *Tracker, last uint64) { b.Since(b.instance, last, 9) }, 0},
		"has all but the last":      {func(b *Tracker, last uint64) { b.Since(b.instance, last-1, 9) }, 1},
		"has all, and starts again": {func(b *Tracker, last uint64) { b.Since(b.instance, last, 9); b.Since(b.instance, 0, 9) }, 0},
		"has what there was not":    {func(b *Tracker, last uint64) { b.Since(b.instance, last+9, 9); b.Note("late", "k", noon) }, 1},
	} {
		b := New()
		for i := range 3 {
			b.Note("u"+strconv.Itoa(i), "k", noon)
		}
		tc.ask(b, b.sequence)
		if b.Keep(nobody, nobody, noon); uses(b) != tc.left {
			t.Errorf("%s: %d uses are left, want %d", name, uses(b), tc.left)
		}
	}
}

// TestKept: uses of current users are kept however old they are; those of others are dropped after their day.
func TestKept(t *testing.T) {
	b := New()
	b.Note("here", "k", noon)
	b.Note("gone", "k", noon)
	here := func(uid string) bool { return uid == "here" }
	b.Keep(here, nobody, noon.Add(12*time.Hour-1).In(time.FixedZone("", 3600)))
	if uses(b) != 2 {
		t.Errorf("%d uses in the evening", uses(b))
	}
	b.Keep(here, nobody, noon.Add(12*time.Hour).In(time.FixedZone("", -3600)))
	want(t, b.Since("", 0, config.MaxKeyUses), map[string]string{"here k": "2026-11-25"})
	r := b.Since("", 0, config.MaxKeyUses)
	b.Since(r.Instance, r.Sequence, config.MaxKeyUses)
	b.Keep(here, nobody, noon.Add(1000*time.Hour))
	want(t, b.Since("", 0, config.MaxKeyUses), map[string]string{"here k": "2026-11-25"})
}

// TestProofsOfThoseWhoAreGone: proofs of removed users do not count, whether they were reported or not.
func TestProofsOfThoseWhoAreGone(t *testing.T) {
	for name, tc := range map[string]struct {
		present, hostKey func(string) bool
		left             int
	}{"nothing": {anybody, anybody, 1}, "the user": {nobody, anybody, 0}, "the host key": {anybody, nobody, 0}, "both": {nobody, nobody, 0}} {
		b := New()
		b.NoteProof("u", "h")
		b.Keep(tc.present, tc.hostKey, noon)
		if got := b.Since("", 0, config.MaxKeyUses).HostKeyProofs; len(got) != tc.left {
			t.Errorf("%s is gone: %v", name, got)
		}
	}
}

// TestOldestFirst: if there are more changes than fit a report, the oldest come first and the rest follow; a report that is
// exactly full says that there are no more.
func TestOldestFirst(t *testing.T) {
	b := New()
	for i := range 5 {
		b.Note("u"+strconv.Itoa(i), "k", noon)
	}
	b.Note("u0", "k", noon.Add(24*time.Hour)) // so it is the newest
	var order []string
	r := config.KeyUseReport{More: true}
	for r.More {
		r = b.Since(r.Instance, r.Sequence, 1)
		for _, u := range r.Uses {
			order = append(order, u.UID+" "+u.Day)
		}
	}
	expected := []string{"u1 2026-11-25", "u2 2026-11-25", "u3 2026-11-25", "u4 2026-11-25", "u0 2026-11-26"}
	if !slices.Equal(order, expected) {
		t.Errorf("%q, want %q", order, expected)
	}
	if r := b.Since("", 0, 5); r.More || len(r.Uses) != 5 || r.Sequence != b.sequence || r.Instance != b.instance {
		t.Errorf("%+v", r)
	}
	if r := b.Since("", 0, 4); !r.More || len(r.Uses) != 4 {
		t.Errorf("%+v", r)
	}
	if r := New().Since("", 0, 0); r.More || r.Uses == nil || len(r.Uses) != 0 { // an empty list in JSON
		t.Errorf("%+v", r)
	}
}

// TestSameDayIsNoChange: a second use on the same day is not reported again.
func TestSameDayIsNoChange(t *testing.T) {
	b := New()
	b.Note("u", "k", noon)
	b.NoteProof("u", "h")
	before := b.Since("", 0, config.MaxKeyUses).Sequence
	b.Note("u", "k", noon.Add(time.Hour))
	b.Note("u", "k", noon.Add(-48*time.Hour))
	b.NoteProof("u", "h")
	if after := b.Since("", 0, config.MaxKeyUses).Sequence; after != before || before != 2 {
		t.Errorf("%d changes, and %d before", after, before)
	}
	if other := New(); other.instance == b.instance {
		t.Error("processes have the same name")
	}
}
