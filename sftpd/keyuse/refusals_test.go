package keyuse

import (
	"strconv"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Refusals of a user are one entry with their count and the last one; it is reported again only after another refusal.
func TestRefusals(t *testing.T) {
	b := New()
	for i := range 1000 {
		b.NoteRefusal("u1", Refusal{At: noon.Add(time.Duration(i) * time.Millisecond), Reason: "wrong_password", Source: "192.0.2.1"})
	}
	b.NoteRefusal("u1", Refusal{At: noon.Add(time.Minute), Reason: "key_not_registered", Fingerprint: "k"})
	b.NoteRefusal("", Refusal{At: noon, Reason: "unknown_user"}) // no one's
	first := b.Since("", 0, config.MaxKeyUses)
	want := config.LoginRefusals{UID: "u1", Since: noon, Last: noon.Add(time.Minute), Count: 1001, Reason: "key_not_registered", Fingerprint: "k"}
	if len(first.Refusals) != 1 || first.Refusals[0] != want {
		t.Errorf("%+v, want %+v", first.Refusals, want)
	}
	if again := b.Since(first.Instance, first.Sequence, config.MaxKeyUses); len(again.Refusals) != 0 {
		t.Errorf("told twice: %+v", again.Refusals)
	}
	b.NoteRefusal("u1", Refusal{At: noon.Add(2 * time.Minute), Reason: "wrong_password"})
	second := b.Since(first.Instance, first.Sequence, config.MaxKeyUses)
	if len(second.Refusals) != 1 || second.Refusals[0].Count != 1002 || second.Refusals[0].Fingerprint != "" {
		t.Errorf("%+v", second.Refusals)
	}
	b.NoteRefusal("u1", Refusal{At: noon.Add(48 * time.Hour), Reason: "wrong_password"})
	if r := b.Since("", 0, config.MaxKeyUses).Refusals[0]; r.Count != 1 || !r.Since.Equal(noon.Add(48*time.Hour)) {
		t.Errorf("after a quiet day: %+v", r)
	}
}

// They share the limit of a report with the use of keys, and those of users that are gone are forgotten.
func TestRefusalsAreBounded(t *testing.T) {
	b := New()
	for i := range 10 {
		b.NoteRefusal("u"+strconv.Itoa(i), Refusal{At: noon, Reason: "wrong_password"})
		b.Note("u"+strconv.Itoa(i), "k", noon)
	}
	told := map[string]int{}
	r := config.KeyUseReport{More: true}
	for n := 0; r.More; n++ {
		if r = b.Since(r.Instance, r.Sequence, 3); len(r.Refusals)+len(r.Uses) > 3 || n > 7 {
			t.Fatalf("part %d: %+v", n, r)
		}
		for _, e := range r.Refusals {
			told[e.UID]++
		}
	}
	if len(told) != 10 || told["u3"] != 1 {
		t.Errorf("told %v", told)
	}
	b.Keep(anybody, anybody, noon)
	b.KeepRefusals(func(uid string) bool { return uid == "u3" })
	if got := b.Since("", 0, config.MaxKeyUses).Refusals; len(got) != 1 || got[0].UID != "u3" {
		t.Errorf("kept %+v", got)
	}
	var none *Tracker
	none.NoteRefusal("u", Refusal{})
	none.KeepRefusals(anybody)
}
