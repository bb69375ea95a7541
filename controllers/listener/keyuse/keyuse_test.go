package keyuse

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func known(users map[types.UID][]string, hostKeys ...string) Known {
	return Known{
		HostKeys: hostKeys, Now: on(11, 25, 12),
		Keys: func(uid types.UID) ([]string, bool) { keys, ok := users[uid]; return keys, ok },
	}
}

// Reports are merged to the latest day, and impossible ones are ignored.
func TestUses(t *testing.T) {
	k := known(map[types.UID][]string{"u": {"k", "removed"}, "other": {"k"}})
	for _, tc := range []struct {
		name    string
		uses    []config.KeyUse
		want    string
		changed bool
	}{
		{"a day", []config.KeyUse{{UID: "u", Fingerprint: "k", Day: "2026-11-24"}}, "2026-11-24", true},
		{"the latest day", []config.KeyUse{{UID: "u", Fingerprint: "k", Day: "2026-11-24"}, {UID: "u", Fingerprint: "k", Day: "2026-11-25"}, {UID: "u", Fingerprint: "k", Day: "2026-11-23"}}, "2026-11-25", true},
		{"tomorrow, by a clock that is ahead", []config.KeyUse{{UID: "u", Fingerprint: "k", Day: "2026-11-26"}}, "2026-11-26", true},
		{"the day after tomorrow", []config.KeyUse{{UID: "u", Fingerprint: "k", Day: "2026-11-27"}}, "", false},
		{"no day", []config.KeyUse{{UID: "u", Fingerprint: "k", Day: "yesterday"}}, "", false},
		{"another key", []config.KeyUse{{UID: "u", Fingerprint: "made up", Day: "2026-11-25"}}, "", false},
		{"another listener's user", []config.KeyUse{{UID: "made up", Fingerprint: "k", Day: "2026-11-25"}}, "", false},
	} {
		var tracker Tracker
		changed := tracker.Note(tc.uses, nil, k)
		if got := tracker.LastUsed("u", "k"); got != tc.want || changed["u"] != tc.changed || changed["other"] {
			t.Errorf("%s: %q, changed %v; want %q, %v", tc.name, got, changed, tc.want, tc.changed)
		}
		if tracker.LastUsed("u", "made up") != "" || tracker.LastUsed("made up", "k") != "" {
			t.Errorf("%s: something made up is believed", tc.name)
		}
		if again := tracker.Note(tc.uses, nil, k); len(again) != 0 {
			t.Errorf("%s: the same reports again are news of %v", tc.name, again)
		}
	}
}

func TestProofs(t *testing.T) {
	k := known(map[types.UID][]string{"u": nil, "v": nil}, "h1", "h2")
	var tracker Tracker
	changed := tracker.Note(nil, []config.HostKeyProof{
		{UID: "u", Fingerprint: "h2"}, {UID: "u", Fingerprint: "h1"}, {UID: "u", Fingerprint: "made up"}, {UID: "made up", Fingerprint: "h1"},
	}, k)
	if len(changed) != 1 || !changed["u"] {
		t.Errorf("changed %v", changed)
	}
	if again := tracker.Note(nil, []config.HostKeyProof{{UID: "u", Fingerprint: "h2"}}, k); len(again) != 0 {
		t.Errorf("the same proof again is news of %v", again)
	}
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	u.Status.ProvedHostKeys = []string{"h3", "gone"}
	now := []v1alpha1.HostKeyStatus{{Fingerprint: "h3"}, {Fingerprint: "h2"}, {Fingerprint: "h4"}}
	if got := tracker.Proved(u, now); !slices.Equal(got, []string{"h2", "h3"}) {
		t.Errorf("proved %v, want what was reported and what the status has, of the keys that there are", got)
	}
	if got := tracker.Proved(&v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: "v"}}, now); got != nil {
		t.Errorf("another user has proof of %v", got)
	}
}

// Removed users are forgotten, and so are removed host keys.
func TestRetain(t *testing.T) {
	k := known(map[types.UID][]string{"stays": {"k"}, "goes": {"k"}}, "h1", "h2")
	var tracker Tracker
	var uses []config.KeyUse
	var proofs []config.HostKeyProof
	for _, uid := range []string{"stays", "goes"} {
		uses = append(uses, config.KeyUse{UID: uid, Fingerprint: "k", Day: "2026-11-25"})
		proofs = append(proofs, config.HostKeyProof{UID: uid, Fingerprint: "h1"}, config.HostKeyProof{UID: uid, Fingerprint: "h2"})
	}
	tracker.Note(uses, proofs, k)
	tracker.Retain(func(uid types.UID) bool { return uid == "stays" }, []string{"h2"})
	both := []v1alpha1.HostKeyStatus{{Fingerprint: "h1"}, {Fingerprint: "h2"}}
	for uid, want := range map[types.UID][]string{"stays": {"h2"}, "goes": nil} {
		u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: uid}}
		if got := tracker.Proved(u, both); !slices.Equal(got, want) {
			t.Errorf("%s has proof of %v, want %v", uid, got, want)
		}
		if got := tracker.LastUsed(uid, "k") != ""; got != (uid == "stays") {
			t.Errorf("the use of a key of %s is known: %v", uid, got)
		}
	}
}
