package delivery

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func version(digest string, shards ...map[types.UID]string) *Version {
	return &Version{Digest: digest, Shards: shards, HostKeys: "keys of " + digest}
}

func TestLoaded(t *testing.T) {
	first := version("1", records{"a": "a1", "b": "b1"}, records{"c": "c1"})
	second := version("2", records{"a": "a2", "b": "b1"}, records{"c": "c1"}) // a changed
	third := version("3", records{"b": "b1"}, records{"c": "c1", "d": "d1"})  // a removed, d added
	var h History
	for _, v := range []*Version{first, second, third} {
		h.Note(v)
	}
	for _, tc := range []struct {
		name         string
		acknowledged *Version
		pods         []string
		uid          types.UID
		record       string
		has, lacks   bool
	}{
		{"all pods have all", nil, []string{"3", "3"}, "d", "d1", true, false},
		{"one pod is behind, and the user is new", nil, []string{"3", "2"}, "d", "d1", false, false},
		{"one pod is behind, and the user did not change", nil, []string{"3", "1"}, "b", "b1", true, false},
		{"one pod is behind, and the user changed", nil, []string{"2", "1"}, "a", "a2", false, false},
		{"all pods had it once, and have loaded a version without it since", first, []string{"3", "3"}, "a", "a1", false, false},
		{"all pods had it once, and one has loaded another record since", first, []string{"1", "2"}, "a", "a1", false, false},
		{"all pods had it once, and of one it is not known what it has", first, []string{"1", "?"}, "a", "a1", true, false},
		{"the user is gone from all pods", nil, []string{"3", "3"}, "a", "", true, true},
		{"a pod still has the user", nil, []string{"3", "1"}, "a", "", false, false},
		{"an unknown version", nil, []string{"3", "?"}, "d", "d1", false, false},
		{"an unknown version, and the user was there when all was known", first, []string{"?"}, "a", "", false, false},
		{"an unknown version, and the user was not there", second, []string{"?"}, "d", "", true, true},
		{"an unknown version, and nothing was ever acknowledged", nil, []string{"?", "3"}, "a", "", false, false},
		{"no pod at all", nil, nil, "d", "d1", false, false},
		{"no pod, and all had it once", third, nil, "d", "d1", true, false},
		{"no pod, and the user changed since", first, nil, "a", "a2", false, true},
		{"no pod serves a user that is gone", first, nil, "a", "", false, true},
	} {
		h := h
		h.acknowledged = tc.acknowledged
		l := h.Loaded(tc.pods, true)
		if tc.record != "" {
			if got := l.Has(tc.uid, tc.record); got != tc.has {
				t.Errorf("%s: has %v, want %v", tc.name, got, tc.has)
			}
			continue
		}
		if got := l.Lacks(tc.uid); got != tc.lacks {
			t.Errorf("%s: lacks %v, want %v", tc.name, got, tc.lacks)
		}
	}
}

// Before the pods have been asked, only what they acknowledged is known: no user is reported as locked out.
func TestNothingIsRemovedBeforePodsAreAsked(t *testing.T) {
	var h History
	if l := h.Loaded(nil, false); l.Lacks("a") {
		t.Error("an operator that has just started knows who is locked out")
	}
	old := version("1", records{"a": "a1"})
	h.Note(old)
	h.Acknowledge(old)
	h.Note(version("2", records{"b": "b1"}))
	l := h.Loaded(nil, false)
	if l.Lacks("a") || !l.Lacks("b") || !l.Has("a", "a1") || l.Has("b", "b1") || l.HostKeys("keys of 1") {
		t.Errorf("%v %v %v %v", l.Lacks("a"), l.Lacks("b"), l.Has("a", "a1"), l.Has("b", "b1"))
	}
}

func TestHostKeysAreLoadedByAllPods(t *testing.T) {
	var h History
	h.Note(version("1"))
	h.Note(version("2"))
	for name, tc := range map[string]struct {
		pods []string
		want bool
	}{
		"all":             {[]string{"2", "2"}, true},
		"one is behind":   {[]string{"2", "1"}, false},
		"one is unknown":  {[]string{"2", "?"}, false},
		"there is no pod": {nil, false},
	} {
		if got := h.Loaded(tc.pods, true).HostKeys("keys of 2"); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// A history drops what no pod can have anymore, is bounded, and finds each version that it still has.
func TestHistoryIsBounded(t *testing.T) {
	var h History
	if h.Known() {
		t.Error("something is acknowledged before anything was written")
	}
	for i := range 3 * maxVersions {
		h.Note(version(strconv.Itoa(i)))
		h.Note(h.latest()) // the same version again is not new
		if n := len(h.versions); n > maxVersions {
			t.Fatalf("%d versions", n)
		}
		if h.Find(strconv.Itoa(i)) == nil {
			t.Fatalf("version %d is not found", i)
		}
	}
	newest := h.latest()
	h.Acknowledge(newest)
	if len(h.versions) != 1 || !h.Known() || h.Find(newest.Digest) != newest {
		t.Errorf("%d versions after the newest was acknowledged", len(h.versions))
	}
	again := version("0")
	h.Note(again)
	if h.Note(nil); h.latest() != again || len(h.versions) != 2 {
		t.Error("an earlier configuration that is written again is not the newest")
	}
	back := version(newest.Digest)
	h.Note(back)
	if h.latest() != back || len(h.versions) != 2 {
		t.Errorf("a digest is there twice: %d versions", len(h.versions))
	}
}

// Whatever pods report, a record counts as loaded only if every pod has it, compared with a model that keeps all versions
// forever.
func TestHistoryAgainstAModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var h History
		all := map[string]map[types.UID]string{}
		var digests []string
		for i := range 20 {
			records := map[types.UID]string{}
			for u := range 4 {
				if r.IntN(4) > 0 {
					records[types.UID(strconv.Itoa(u))] = strconv.Itoa(r.IntN(3))
				}
			}
			digest := strconv.Itoa(i)
			all[digest] = records
			digests = append(digests, digest)
			h.Note(version(digest, records))
			pods := make([]string, r.IntN(3))
			for j := range pods {
				pods[j] = digests[r.IntN(len(digests))]
			}
			l := h.Loaded(pods, true)
			for u := range 4 {
				uid := types.UID(strconv.Itoa(u))
				for want := range 3 {
					has := len(pods) > 0
					for _, p := range pods {
						has = has && all[p][uid] == strconv.Itoa(want)
					}
					if l.Has(uid, strconv.Itoa(want)) != has {
						t.Fatalf("seed %d: user %s, record %d, pods %v", seed, uid, want, pods)
					}
				}
				lacks := true
				for _, p := range pods {
					lacks = lacks && all[p][uid] == ""
				}
				if l.Lacks(uid) != lacks {
					t.Fatalf("seed %d: user %s is gone from pods %v: want %v", seed, uid, pods, lacks)
				}
			}
		}
	}
}
