package hostkey

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// edges are further rotations, with several keys that change at once.
var edges = []rotation{
	{"a new listener's spares come after the keys that are used", []step{
		{want: "a=ed b=ed r=rsa", is: "a Active, r Active, b Advertised"},
	}},
	{"two compromised keys go at once", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "b=ed! s=rsa!", late: true, is: "b Active, s Active", changes: "b >Active!, s >Active!, a Active>!, r Active>!"},
	}},
	{"a key of a new type without an overlap is used at once, and takes no key away", []step{
		{want: "a=ed", is: "a Active"},
		{want: "a=ed r=rsa!", late: true, is: "a Active, r Active", changes: "r >Active"},
	}},
	{"two types are taken away because their keys are compromised", []step{
		{want: "a=ed r=rsa! e=ecdsa!", is: "a Active, r Active, e Active"},
		{want: "a=ed", late: true, is: "a Active", changes: "r Active>!, e Active>!"},
	}},
	{"of two types that are taken away, the second's key is compromised", []step{
		{want: "a=ed r=rsa e=ecdsa!", is: "a Active, r Active, e Active"},
		{want: "a=ed", is: "a Active, r Retiring(10h)", changes: "r Active>Retiring, e Active>!"},
	}},
	{"pods have loaded one new key and not the next", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed r=rsa", is: "a Active, b Advertised(10h), r Staged(Pods)", changes: "r >Staged, b Staged>Advertised"},
	}},
	{"a key of a new type does not wait for another type's key to retire", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed r=rsa", is: "a Active, b Staged(Pods), r Staged(Pods)", changes: "b >Staged, r >Staged"},
		{want: "b=ed r=rsa", is: "a Active, b Advertised(10h), r Advertised(10h)", changes: "b Staged>Advertised, r Staged>Advertised"},
		{
			after: 10 * time.Hour, want: "b=ed r=rsa", is: "b Active, r Active, a Retiring(10h)",
			changes: "b Advertised>Active, a Active>Retiring, r Advertised>Active",
		},
	}},
	{"a type leaves only when all that are wanted instead are used", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "a=ed e=ecdsa", is: "a Active, r Active(NewKey), e Staged(Pods)", changes: "e >Staged"},
		{want: "a=ed e=ecdsa", is: "a Active, r Active(NewKey), e Advertised(10h)", changes: "e Staged>Advertised"},
	}},
}

// Pods that have loaded a key as Staged have not loaded it as Advertised, however short the overlap: a state counts from the
// full second.
func TestShortestOverlap(t *testing.T) {
	want := parseKeys("b=ed")
	want[0].Overlap = time.Nanosecond
	held := Decide(Input{Now: began, Wanted: parseKeys("a=ed")}).Keys
	now := began.Add(500 * time.Millisecond)
	for i, is := range []string{"a Active, b Staged(Pods)", "a Active, b Advertised(Pods)", "b Active, a Retiring(Pods)", "b Active"} {
		p := Decide(Input{Now: now, Wanted: want, Held: held, Acknowledged: true})
		if got, _ := show(p, now); got != is {
			t.Fatalf("step %d: %s, want %s", i, got, is)
		}
		for _, h := range p.Keys {
			if h.Since.Nanosecond() != 0 {
				t.Errorf("%s is %s since %s, which a status cannot have", h.Name, h.State, h.Since)
			}
		}
		held = p.Keys
	}
}

// A key is identified by its fingerprint. Its other properties come from the current spec.
func TestKeyOfAnotherName(t *testing.T) {
	held := Decide(Input{Now: began, Wanted: parseKeys("a=ed")}).Keys
	renamed := held[0].Key
	renamed.Name, renamed.Revision, renamed.Overlap = "renamed", 3, time.Hour
	held[0].Next, held[0].WaitingFor = began, v1alpha1.HostKeyWaitPods // said by an earlier decision
	p := Decide(Input{Now: began.Add(time.Minute), Wanted: []Key{renamed}, Held: held, Acknowledged: true})
	want := []Held{{Key: renamed, State: v1alpha1.HostKeyActive, Since: began}}
	if !reflect.DeepEqual(p.Keys, want) || len(p.Changes) > 0 {
		t.Errorf("%+v, changes %v\nwant %+v", p.Keys, p.Changes, want)
	}
}

func TestNext(t *testing.T) {
	at := func(hours ...int) (p Plan) {
		for _, h := range hours {
			var k Held
			if h > 0 {
				k.Next = began.Add(time.Duration(h) * time.Hour)
			}
			p.Keys = append(p.Keys, k)
		}
		return p
	}
	for _, c := range []struct {
		plan Plan
		want time.Time
	}{
		{at(), time.Time{}},
		{at(0, 0), time.Time{}},
		{at(3), began.Add(3 * time.Hour)},
		{at(3, 2, 0, 4), began.Add(2 * time.Hour)},
		{at(0, 2, 3), began.Add(2 * time.Hour)},
	} {
		if got := c.plan.Next(); !got.Equal(c.want) {
			t.Errorf("next is %s, want %s", got, c.want)
		}
	}
}

// Keys may come back from a status in another order: their order decides nothing.
func TestOrderOfHeldKeys(t *testing.T) {
	pool := parseKeys("a=ed b=ed c=ed! r=rsa s=rsa! e=ecdsa")
	states := []v1alpha1.HostKeyState{v1alpha1.HostKeyActive, v1alpha1.HostKeyAdvertised, v1alpha1.HostKeyStaged, v1alpha1.HostKeyRetiring}
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 2027))
		in := Input{Now: began, Acknowledged: random.IntN(3) > 0}
		for _, n := range random.Perm(len(pool))[:1+random.IntN(4)] {
			in.Wanted = append(in.Wanted, pool[n])
		}
		active, retiring := map[string]bool{}, false
		for _, n := range random.Perm(len(pool))[:1+random.IntN(5)] {
			h := Held{Key: pool[n], State: states[random.IntN(4)], Since: began.Add(-time.Duration(random.IntN(20)) * time.Hour)}
			// No two keys of a type are Active, and one is Retiring: see TestAnySequence.
			if h.State == v1alpha1.HostKeyActive && active[h.Type] || h.State == v1alpha1.HostKeyRetiring && retiring {
				h.State = v1alpha1.HostKeyAdvertised
			}
			active[h.Type] = active[h.Type] || h.State == v1alpha1.HostKeyActive
			retiring = retiring || h.State == v1alpha1.HostKeyRetiring
			in.Held = append(in.Held, h)
		}
		want, _ := show(Decide(in), began)
		// Several types that are removed retire one after the other, in the order in which they are held.
		if leaving(in) > 1 {
			continue
		}
		random.Shuffle(len(in.Held), func(i, j int) { in.Held[i], in.Held[j] = in.Held[j], in.Held[i] })
		if got, _ := show(Decide(in), began); got != want {
			t.Fatalf("seed %d: %s, in another order %s", seed, want, got)
		}
	}
}

// leaving counts the Active keys of types that are not wanted.
func leaving(in Input) (n int) {
	wanted := map[string]bool{}
	for _, k := range in.Wanted {
		wanted[k.Type] = true
	}
	for _, h := range in.Held {
		if h.State == v1alpha1.HostKeyActive && !wanted[h.Type] {
			n++
		}
	}
	return n
}
