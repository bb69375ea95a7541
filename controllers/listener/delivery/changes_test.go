package delivery

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

type records = map[types.UID]string

// Which users must be evaluated again after a version.
func TestChanges(t *testing.T) {
	same := records{"s": "1", "t": "1"}
	v := version("1", records{"a": "1", "b": "1"}, same)
	of := func(known bool, acknowledged *Version, pods ...*Version) Loaded {
		return Loaded{acknowledged: acknowledged, known: known, pods: pods}
	}
	for name, tc := range map[string]struct {
		before, after Loaded
		all           bool
		want          []types.UID
	}{
		"nothing":                  {before: of(true, v, v), after: of(true, v, v)},
		"nothing was known":        {before: of(true, nil, nil), after: of(true, nil, nil)},
		"one has changed":          {before: of(true, v), after: of(true, version("2", records{"a": "2", "b": "1"}, same)), want: []types.UID{"a"}},
		"one is gone":              {before: of(true, v), after: of(true, version("2", records{"b": "1"}, same)), want: []types.UID{"a"}},
		"all of a shard are gone":  {before: of(true, v), after: of(true, version("2", nil, same)), want: []types.UID{"a", "b"}},
		"one has come":             {before: of(true, v), after: of(true, version("2", v.Shards[0], records{"s": "1", "t": "1", "u": "1"})), want: []types.UID{"u"}},
		"one with an empty digest": {before: of(true, v), after: of(true, version("2", records{"a": "1", "b": "1", "": ""}, same)), want: []types.UID{""}},
		"one has moved":            {before: of(true, v), after: of(true, version("2", records{"a": "1"}, records{"b": "1", "s": "1", "t": "1"})), want: []types.UID{"b"}},
		"more shards":              {before: of(true, v), after: of(true, version("2", v.Shards[0], same, records{"c": "1"})), want: []types.UID{"c"}},
		"fewer shards":             {before: of(true, v), after: of(true, version("2", v.Shards[0])), want: []types.UID{"s", "t"}},
		"in a pod": {
			before: of(true, v, v, v), after: of(true, v, v, version("2", records{"a": "2", "b": "1"}, same)), want: []types.UID{"a"},
		},
		"in both": {
			before: of(true, v, v), after: of(true, version("2", records{"a": "2", "b": "1"}, same), version("3", records{"a": "1", "b": "2"}, same)),
			want: []types.UID{"a", "b"},
		},
		"a pod more":                   {before: of(true, v, v), after: of(true, v, v, v), all: true},
		"a pod fewer":                  {before: of(true, v, v), after: of(true, v), all: true},
		"a pod is unknown":             {before: of(true, v, v, v), after: of(true, v, v, nil), all: true},
		"a pod is known":               {before: of(true, v, nil, v), after: of(true, v, v, v), all: true},
		"the first acknowledgment":     {before: of(true, nil), after: of(true, v), all: true},
		"no acknowledgment anymore":    {before: of(true, v), after: of(true, nil), all: true},
		"pods were asked":              {before: of(false, v), after: of(true, v), all: true},
		"pods cannot be asked anymore": {before: of(true, v), after: of(false, v), all: true},
	} {
		got := tc.after.Changes(tc.before)
		if users := slices.Sorted(maps.Keys(got.Users)); got.All != tc.all || !tc.all && !slices.Equal(users, tc.want) {
			t.Errorf("%s: %+v, want all %v, %v", name, got, tc.all, tc.want)
		}
		for _, uid := range []types.UID{"a", "b", "s"} {
			if got.Of(uid) != (tc.all || slices.Contains(tc.want, uid)) {
				t.Errorf("%s: %s has changed: %v", name, uid, got.Of(uid))
			}
		}
	}
}

// For an unchanged user, Has and Lacks return what they returned before, whatever pods report.
func TestNoChangeChangesNothing(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		var h History
		var before Loaded
		shards := []records{{}, {}}
		for i := range 15 {
			for j := range shards {
				if r.IntN(3) == 0 {
					shards[j] = maps.Clone(shards[j])
					uid := types.UID(strconv.Itoa(2*r.IntN(3) + j))
					if shards[j][uid] = strconv.Itoa(r.IntN(2)); r.IntN(3) == 0 {
						delete(shards[j], uid)
					}
				}
			}
			v := version(strconv.Itoa(i), slices.Clone(shards)...)
			h.Note(v)
			if r.IntN(3) == 0 {
				h.Acknowledge(v)
			}
			var pods []string
			for range r.IntN(3) {
				pods = append(pods, strconv.Itoa(i-r.IntN(3)))
			}
			l := h.Loaded(pods, r.IntN(6) > 0)
			changes := l.Changes(before)
			for u := range 6 {
				uid := types.UID(strconv.Itoa(u))
				same := l.Has(uid, "0") == before.Has(uid, "0") && l.Has(uid, "1") == before.Has(uid, "1") && l.Lacks(uid) == before.Lacks(uid)
				if !same && !changes.Of(uid) {
					t.Fatalf("seed %d: %s has changed, but not by %+v", seed, uid, changes)
				}
			}
			before = l
		}
	}
}

// A pod with an unknown version has nothing that can be relied on, and the history keeps versions for a minute.
func TestUnknownVersions(t *testing.T) {
	old := version("1", records{"a": "1"})
	l := Loaded{known: true, pods: []*Version{nil}}
	if l.Has("a", "") || l.Lacks("a") {
		t.Error("it is known what a pod of an unknown version has")
	}
	if l.acknowledged = old; l.Lacks("a") {
		t.Error("a pod of an unknown version serves no user")
	}
	if (Loaded{}).Has("a", "") {
		t.Error("no pod has a record")
	}
	l = Loaded{known: true, acknowledged: old, pods: []*Version{version("2", records{})}}
	if !l.Lacks("a") {
		t.Error("what was acknowledged counts although every pod is known to be newer")
	}
	if one := (Loaded{known: true, pods: []*Version{old}}); !one.HostKeys("keys of 1") {
		t.Error("one pod has host keys")
	}
	var h History
	for i := range 40 {
		h.Note(version(strconv.Itoa(i)))
	}
	if h.Find("7") != nil || h.Find("8") == nil { // the comment of maxVersions promises 32
		t.Error("not the last 32 versions are known")
	}
	latest := h.latest()
	before := slices.Clone(h.versions)
	if h.Note(latest); !slices.Equal(h.versions, before) {
		t.Error("the latest version again is another one")
	}
}
