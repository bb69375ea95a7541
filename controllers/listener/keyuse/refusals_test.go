package keyuse

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

var noon = on(11, 25, 12)

// statuses are the statuses of a listener's users.
type statuses map[types.UID]*v1alpha1.LoginRefusal

func (s statuses) get(uid types.UID) (*v1alpha1.LoginRefusal, bool) { r, ok := s[uid]; return r, ok }

func refusedAt(uid string, at time.Time, count uint64) config.LoginRefusals {
	return config.LoginRefusals{UID: uid, Since: noon, Last: at, Count: count, Reason: string(event.WrongPassword), Source: "192.0.2.1"}
}

func user(uid types.UID, s statuses) *v1alpha1.SFTPUser {
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: uid}}
	u.Status.LastRefusal = s[uid]
	return u
}

// Pods' reports are added up once, with the last reason; reports about anyone who is not a user of the listener are ignored.
func TestRefusalsOfPods(t *testing.T) {
	var tracker Tracker
	s := statuses{"u": nil}
	tracker.NoteRefusals("a", []config.LoginRefusals{refusedAt("u", noon.Add(time.Second), 2), refusedAt("foreign", noon, 1)}, s.get, noon)
	later := refusedAt("u", noon.Add(2*time.Second), 3)
	later.Reason, later.Fingerprint = string(event.KeyNotRegistered), "SHA256:x"
	for range 3 { // it is reported again until it is merged
		tracker.NoteRefusals("b", []config.LoginRefusals{later}, s.get, noon)
	}
	released, _ := tracker.Release(s.get, noon.Add(3*time.Second))
	if len(released) != 1 || !released["u"] {
		t.Fatalf("released %v", released)
	}
	got := tracker.LastRefusal(user("u", s))
	if got.Count != 5 || got.Reason != "key_not_registered" || got.Message == "" || got.KeyFingerprint != "SHA256:x" || got.SourceIP != "192.0.2.1" ||
		!got.Time.Time.Equal(later.Last) || !got.Since.Time.Equal(noon) {
		t.Errorf("%+v", got)
	}
	s["u"] = got
	tracker.NoteRefusals("b", []config.LoginRefusals{later}, s.get, noon)
	if tracker.Waiting() {
		t.Error("the same report is news")
	}
	future := refusedAt("u", noon.Add(25*time.Hour), 9)
	tracker.NoteRefusals("b", []config.LoginRefusals{future}, s.get, noon)
	if tracker.Waiting() {
		t.Error("a refusal of tomorrow is believed")
	}
	tracker.Retain(func(types.UID) bool { return false }, nil)
	if tracker.LastRefusal(user("u", statuses{})) != nil {
		t.Error("a user that is gone is remembered")
	}
}

// A restarted operator, and replaced pods, know less than the status: it does not go back.
func TestRefusalsStay(t *testing.T) {
	in := &v1alpha1.LoginRefusal{Time: metav1.NewTime(noon), Since: metav1.NewTime(noon.Add(-time.Hour)), Count: 7, Reason: "wrong_password"}
	for name, tc := range map[string]struct {
		report config.LoginRefusals
		count  int32
		since  time.Time
		news   bool
	}{
		"the same":            {config.LoginRefusals{UID: "u", Since: in.Since.Time, Last: noon, Count: 7, Reason: "wrong_password"}, 7, in.Since.Time, false},
		"an older one":        {refusedAt("u", noon.Add(-time.Minute), 3), 7, in.Since.Time, false},
		"another, of new pod": {refusedAt("u", noon.Add(time.Minute), 1), 7, in.Since.Time, true},
		"more than it knew":   {refusedAt("u", noon.Add(time.Minute), 9), 9, in.Since.Time, true},
		"after a day":         {config.LoginRefusals{UID: "u", Since: noon.Add(25 * time.Hour), Last: noon.Add(25 * time.Hour), Count: 1, Reason: "wrong_password"}, 1, noon.Add(25 * time.Hour), true},
	} {
		var tracker Tracker
		s := statuses{"u": in}
		now := noon.Add(26 * time.Hour)
		tracker.NoteRefusals("a", []config.LoginRefusals{tc.report}, s.get, now)
		released, _ := tracker.Release(s.get, now)
		got := tracker.LastRefusal(user("u", s))
		if released["u"] != tc.news || got.Count != tc.count || !got.Since.Time.Equal(tc.since) {
			t.Errorf("%s: released %v, %+v", name, released, got)
		}
	}
}

// TestScanner: one login name is tried each second for a day. Its status is written often at first, and then hourly.
func TestScanner(t *testing.T) {
	var tracker Tracker
	s, writes, last := statuses{"u": nil}, 0, time.Time{}
	for now := noon; now.Before(noon.Add(24 * time.Hour)); now = now.Add(10 * time.Second) {
		tracker.NoteRefusals("a", []config.LoginRefusals{refusedAt("u", now, uint64(now.Sub(noon)/time.Second)+1)}, s.get, now)
		released, next := tracker.Release(s.get, now)
		if !released["u"] {
			if next.IsZero() || next.After(now.Add(longestInterval)) {
				t.Fatalf("at %s: the next is at %s", now, next)
			}
			continue
		}
		if gap := now.Sub(last); gap < shortestInterval {
			t.Fatalf("written again after %s", gap)
		}
		s["u"] = tracker.LastRefusal(user("u", s))
		writes, last = writes+1, now
	}
	if writes < 24 || writes > 31 {
		t.Errorf("%d writes in a day", writes)
	}
	t.Logf("REFUSALS 8640 reports on one user in a day, %d writes", writes)
	// When it has ended, the next one is reported immediately.
	now := noon.Add(40 * time.Hour)
	tracker.NoteRefusals("a", []config.LoginRefusals{refusedAt("u", now, 90000)}, s.get, now)
	if released, _ := tracker.Release(s.get, now); !released["u"] {
		t.Error("a refusal after a quiet time has to wait")
	}
	now = now.Add(5 * time.Minute)
	s["u"] = tracker.LastRefusal(user("u", s))
	tracker.NoteRefusals("a", []config.LoginRefusals{refusedAt("u", now, 90001)}, s.get, now)
	if released, _ := tracker.Release(s.get, now); !released["u"] {
		t.Error("the interval did not become short again")
	}
}

// TestScannerOfAllNames: all login names are tried all the time. The writes of the listener are bounded, and each user gets its turn.
func TestScannerOfAllNames(t *testing.T) {
	const users = 1000
	var tracker Tracker
	s := statuses{}
	var report []config.LoginRefusals
	for i := range users {
		s[types.UID(strconv.Itoa(i))] = nil
		report = append(report, refusedAt(strconv.Itoa(i), noon, 1))
	}
	total := 0
	for minute := range users/releasesPerMinute + 1 {
		now := noon.Add(time.Duration(minute) * time.Minute)
		for i := range report {
			report[i].Last, report[i].Count = now, report[i].Count+100
		}
		tracker.NoteRefusals("a", report, s.get, now)
		inMinute := 0
		for second := range 3 { // woken by other things
			released, next := tracker.Release(s.get, now.Add(time.Duration(second)*time.Second))
			inMinute += len(released)
			for uid := range released {
				s[uid] = tracker.LastRefusal(user(uid, s))
			}
			if next.IsZero() || !tracker.Waiting() {
				t.Fatal("those that wait are forgotten")
			}
		}
		if total += inMinute; inMinute > releasesPerMinute {
			t.Fatalf("%d writes in a minute", inMinute)
		}
	}
	for uid, r := range s {
		if r == nil {
			t.Fatalf("user %s had no turn", uid)
		}
	}
	t.Logf("REFUSALS %d users tried all the time, %d writes in %d minutes", users, total, users/releasesPerMinute+1)
}

// Short-lived processes do not take more memory, and their counts stay.
func TestManyProcesses(t *testing.T) {
	var tracker Tracker
	s := statuses{"u": nil}
	for i := range 1000 {
		at := noon.Add(time.Duration(i) * time.Second)
		tracker.NoteRefusals(fmt.Sprint("process", i), []config.LoginRefusals{refusedAt("u", at, 2)}, s.get, noon)
	}
	if n := len(tracker.refused["u"].processes); n > maxProcesses+1 {
		t.Errorf("%d processes are kept", n)
	}
	tracker.Release(s.get, noon.Add(time.Hour))
	if got := tracker.LastRefusal(user("u", s)); got.Count != 2000 {
		t.Errorf("counted %d", got.Count)
	}
	tracker.NoteRefusals("liar", []config.LoginRefusals{{UID: "u", Since: noon, Last: noon, Count: 1 << 63, Reason: "x"}}, s.get, noon)
	tracker.Release(s.get, noon.Add(2*time.Hour))
	if got := tracker.LastRefusal(user("u", s)); got.Count != maxCount {
		t.Errorf("counted %d", got.Count)
	}
}
