package keyuse

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func days(r config.KeyUseReport) map[string]string {
	out := map[string]string{}
	for _, u := range r.Uses {
		out[u.UID+" "+u.Fingerprint] = u.Day
	}
	return out
}

func want(t *testing.T, r config.KeyUseReport, uses map[string]string) {
	t.Helper()
	if got := days(r); !maps.Equal(got, uses) || len(r.Uses) != len(uses) {
		t.Errorf("%v, want %v", r.Uses, uses)
	}
}

// A caller that asks for changes since the last report gets each key once a day.
func TestReports(t *testing.T) {
	b := New()
	evening := time.Date(2026, 11, 25, 23, 59, 0, 0, time.UTC)
	first := b.Since("", 0, config.MaxKeyUses)
	want(t, first, map[string]string{})

	for range 10 {
		b.Note("u1", "k1", evening)
	}
	b.Note("u2", "k1", evening)
	second := b.Since(first.Instance, first.Sequence, config.MaxKeyUses)
	want(t, second, map[string]string{"u1 k1": "2026-11-25", "u2 k1": "2026-11-25"})
	b.Note("u1", "k1", evening.Add(30*time.Second))
	want(t, b.Since(second.Instance, second.Sequence, config.MaxKeyUses), map[string]string{})

	// Days begin at midnight UTC, and setting a clock back changes nothing.
	b.Note("u1", "k1", evening.Add(2*time.Minute).In(time.FixedZone("", -8*3600)))
	b.Note("u1", "k1", evening)
	want(t, b.Since(second.Instance, second.Sequence, config.MaxKeyUses), map[string]string{"u1 k1": "2026-11-26"})

	// A caller whose last report came from another process gets all entries.
	all := map[string]string{"u1 k1": "2026-11-26", "u2 k1": "2026-11-25"}
	want(t, b.Since(New().instance, 99, config.MaxKeyUses), all)
	want(t, b.Since("", 0, config.MaxKeyUses), all)
}

func TestGoneUsersAreForgotten(t *testing.T) {
	b := New()
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	none := func(string) bool { return false }
	onlyU2 := func(uid string) bool { return uid == "u2" }
	keep := func(r config.KeyUseReport, n int, at time.Time) {
		t.Helper()
		b.Keep(onlyU2, none, at)
		if got := days(b.Since(r.Instance, 0, config.MaxKeyUses)); len(got) != n || got["u2 k1"] == "" {
			t.Errorf("%v, want %d uses", got, n)
		}
	}
	b.Note("u1", "k1", noon)
	b.Note("u2", "k1", noon)
	first := b.Since("", 0, config.MaxKeyUses)
	b.Note("u3", "k1", noon)
	keep(first, 3, noon) // no caller is known to have received any
	b.Since(first.Instance, first.Sequence, config.MaxKeyUses)
	keep(first, 2, noon) // u3 has not been reported yet
	keep(first, 1, noon.Add(24*time.Hour))
}

func TestNoBook(t *testing.T) {
	var b *Tracker
	b.Note("u1", "k1", time.Now())
	none := func(string) bool { return false }
	b.NoteProof("u1", "h1")
	b.Keep(none, none, time.Now())
}

// A proof is reported once, in the same sequence as the uses, and as long as its user and host key exist.
func TestProofs(t *testing.T) {
	b := New()
	proofs := func(after config.KeyUseReport, want ...config.HostKeyProof) config.KeyUseReport {
		t.Helper()
		r := b.Since(after.Instance, after.Sequence, config.MaxKeyUses)
		slices.SortFunc(r.HostKeyProofs, func(x, y config.HostKeyProof) int {
			return cmp.Compare(x.UID+x.Fingerprint, y.UID+y.Fingerprint)
		})
		if !slices.Equal(r.HostKeyProofs, want) {
			t.Errorf("%v, want %v", r.HostKeyProofs, want)
		}
		return r
	}
	one, two, three := config.HostKeyProof{UID: "u1", Fingerprint: "h1"}, config.HostKeyProof{UID: "u1", Fingerprint: "h2"}, config.HostKeyProof{UID: "u2", Fingerprint: "h1"}
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	none := proofs(config.KeyUseReport{})
	b.NoteProof("u1", "h1")
	b.Note("u1", "k1", noon)
	b.NoteProof("u2", "h1")
	first := proofs(none, one, three)
	want(t, first, map[string]string{"u1 k1": "2026-11-25"})
	b.NoteProof("u1", "h1") // again
	b.NoteProof("u1", "h2")
	second := proofs(first, two)
	want(t, second, map[string]string{})
	proofs(second)
	proofs(config.KeyUseReport{Instance: "another", Sequence: 99}, one, two, three)

	anyone := func(string) bool { return true }
	b.Keep(anyone, func(h string) bool { return h == "h1" }, noon)
	proofs(config.KeyUseReport{}, one, three)
	b.Keep(func(uid string) bool { return uid == "u2" }, anyone, noon)
	proofs(config.KeyUseReport{}, three)
}

// The parts of a report, whatever their size, together make up the whole without duplicates; changes that arrive in between are
// included.
func TestParts(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 100} {
		b := New()
		noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		for i := range 10 {
			b.Note("u"+strconv.Itoa(i), "k", noon)
			b.NoteProof("u"+strconv.Itoa(i), "host")
		}
		told := map[string]int{}
		r := config.KeyUseReport{More: true}
		for n := 0; r.More; n++ {
			if n == 2 {
				b.Note("late", "k", noon)
			}
			r = b.Since(r.Instance, r.Sequence, limit)
			if size := len(r.Uses) + len(r.HostKeyProofs); size > limit || r.More && size != limit {
				t.Fatalf("%d entries, limit %d, more: %v", size, limit, r.More)
			}
			for _, u := range r.Uses {
				told[u.UID+" "+u.Fingerprint]++
			}
			for _, p := range r.HostKeyProofs {
				told[p.UID+" "+p.Fingerprint]++
			}
		}
		want := 20
		if limit < 10 {
			want++
		}
		if len(told) != want || told["late k"] > 1 || slices.Max(slices.Collect(maps.Values(told))) != 1 {
			t.Errorf("limit %d: told %v", limit, told)
		}
		if again := b.Since(r.Instance, r.Sequence, limit); len(again.Uses)+len(again.HostKeyProofs) > 0 || again.More {
			t.Errorf("limit %d: told again %+v", limit, again)
		}
	}
}
