package hostkey

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

var began = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const overlap = 10 * time.Hour

// step is one evaluation of a listener: what is wanted, how much later, and the result.
type step struct {
	// after is the time since the previous step; negative when the clock was set back.
	after time.Duration
	// want are keys as "name=type", without an overlap as "name=type!".
	want string
	// late means that pods have not loaded the last decision.
	late bool
	// is are the keys with their states, and in parentheses what a state waits for: hours, or a word.
	is string
	// changes are "name from>to", forced ones with "!".
	changes string
}

func parseKeys(list string) (out []Key) {
	for word := range strings.FieldsSeq(list) {
		name, keyType, _ := strings.Cut(word, "=")
		k := Key{Name: name, Fingerprint: "SHA256:" + name, Type: strings.TrimSuffix(keyType, "!"), Overlap: overlap}
		if strings.HasSuffix(keyType, "!") {
			k.Overlap = 0
		}
		out = append(out, k)
	}
	return out
}

func show(p Plan, now time.Time) (is, changes string) {
	var keys, list []string
	for _, h := range p.Keys {
		s := h.Name + " " + string(h.State)
		switch {
		case h.WaitingFor != "":
			s += "(" + string(h.WaitingFor) + ")"
		case !h.Next.IsZero():
			s += fmt.Sprintf("(%gh)", h.Next.Sub(now).Hours())
		}
		keys = append(keys, s)
	}
	for _, c := range p.Changes {
		s := fmt.Sprintf("%s %s>%s", c.Name, c.From, c.To)
		if c.Forced {
			s += "!"
		}
		list = append(list, s)
	}
	return strings.Join(keys, ", "), strings.Join(list, ", ")
}

type rotation struct {
	name  string
	steps []step
}

var rotations = []rotation{
	{"a new listener's keys are used at once, and nothing changes them", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{after: 1000 * time.Hour, want: "a=ed r=rsa", is: "a Active, r Active"},
	}},
	{"a new key of the type", []step{
		{want: "a=ed", is: "a Active"},
		{after: time.Hour, want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", late: true, is: "a Active, b Staged(Pods)"},
		{after: time.Hour, want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: 9 * time.Hour, want: "b=ed", is: "a Active, b Advertised(1h)"},
		{after: time.Hour, want: "b=ed", late: true, is: "a Active, b Advertised(Pods)"},
		{want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{after: 9 * time.Hour, want: "b=ed", is: "b Active, a Retiring(1h)"},
		{after: time.Hour, want: "b=ed", late: true, is: "b Active, a Retiring(Pods)"},
		{want: "b=ed", is: "b Active", changes: "a Retiring>"},
	}},
	{"the clock goes back: nothing is undone, and nothing waits for longer than the overlap", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: -1000 * time.Hour, want: "b=ed", is: "a Active, b Advertised(10h)"},
		{after: 10 * time.Hour, want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{after: -1000 * time.Hour, want: "b=ed", is: "b Active, a Retiring(10h)"},
		{after: 10 * time.Hour, want: "b=ed", is: "b Active", changes: "a Retiring>"},
	}},
	{"the clock goes far ahead: one step at a time, each loaded by the pods", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{after: 1e5 * time.Hour, want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: 1e5 * time.Hour, want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{after: 1e5 * time.Hour, want: "b=ed", is: "b Active", changes: "a Retiring>"},
	}},
	{"two types at once: the second waits until the first key is gone", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "b=ed s=rsa", is: "a Active, r Active, b Staged(Pods), s Staged(Pods)", changes: "b >Staged, s >Staged"},
		{want: "b=ed s=rsa", is: "a Active, r Active, b Advertised(10h), s Advertised(10h)", changes: "b Staged>Advertised, s Staged>Advertised"},
		{
			after: 10 * time.Hour, want: "b=ed s=rsa", is: "b Active, r Active, s Advertised(RetiringKey), a Retiring(10h)",
			changes: "b Advertised>Active, a Active>Retiring",
		},
		{want: "b=ed s=rsa", late: true, is: "b Active, r Active, s Advertised(RetiringKey), a Retiring(10h)"},
		{
			after: 10 * time.Hour, want: "b=ed s=rsa", is: "b Active, s Active, r Retiring(10h)",
			changes: "a Retiring>, s Advertised>Active, r Active>Retiring",
		},
		{after: 10 * time.Hour, want: "b=ed s=rsa", is: "b Active, s Active", changes: "r Retiring>"},
	}},
	{"a compromised key goes at once", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "b=ed! r=rsa", late: true, is: "b Active, r Active", changes: "b >Active!, a Active>!"},
	}},
	{"the overlap is set to 0 in the middle of a rotation", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{want: "b=ed!", late: true, is: "b Active", changes: "b Advertised>Active!, a Active>!"},
	}},
	{"the overlap is set to 0 while the former key is Retiring", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: 10 * time.Hour, want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{want: "b=ed!", late: true, is: "b Active", changes: "a Retiring>"},
	}},
	{"an emergency does not wait for another type's rotation", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "b=ed r=rsa", is: "r Active, a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed r=rsa", is: "r Active, a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: 10 * time.Hour, want: "b=ed r=rsa", is: "b Active, r Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{want: "b=ed s=rsa!", is: "b Active, s Active, a Retiring(10h)", changes: "s >Active!, r Active>!"},
	}},
	{"a spare is announced, and takes over at once when the first key is taken away", []step{
		{want: "a=ed", is: "a Active"},
		{want: "a=ed b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "a=ed b=ed", is: "a Active, b Advertised", changes: "b Staged>Advertised"},
		{after: 1000 * time.Hour, want: "a=ed b=ed", is: "a Active, b Advertised"},
		{want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
	}},
	{"a spare that was announced for too short a time waits", []step{
		{want: "a=ed", is: "a Active"},
		{want: "a=ed b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "a=ed b=ed", is: "a Active, b Advertised", changes: "b Staged>Advertised"},
		{after: 4 * time.Hour, want: "b=ed", is: "a Active, b Advertised(6h)"},
	}},
	{"a new listener with a spare, whose order is changed: the first key becomes the spare", []step{
		{want: "a=ed b=ed", is: "a Active, b Advertised"},
		{after: 10 * time.Hour, want: "b=ed a=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{after: 10 * time.Hour, want: "b=ed a=ed", is: "b Active, a Advertised", changes: "a Retiring>Advertised"},
	}},
	{"a spare without an overlap is still a spare", []step{
		{want: "a=ed", is: "a Active"},
		{want: "a=ed b=ed!", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "a=ed b=ed!", is: "a Active, b Advertised", changes: "b Staged>Advertised"},
		{want: "b=ed!", is: "b Active", changes: "b Advertised>Active!, a Active>!"},
	}},
	{"a spare that is taken away is gone: no key exchange used it", []step{
		{want: "a=ed b=ed", is: "a Active, b Advertised"},
		{want: "a=ed", late: true, is: "a Active", changes: "b Advertised>"},
	}},
	{"refs are exchanged back before the new key was used", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{want: "a=ed", is: "a Active", changes: "b Advertised>"},
	}},
	{"refs are exchanged back while the former key is Retiring: at once, clients know both", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{after: 10 * time.Hour, want: "b=ed", is: "b Active, a Retiring(10h)", changes: "b Advertised>Active, a Active>Retiring"},
		{after: time.Hour, want: "a=ed", is: "a Active, b Retiring(10h)", changes: "a Retiring>Active, b Active>Retiring"},
		{after: 10 * time.Hour, want: "a=ed", is: "a Active", changes: "b Retiring>"},
	}},
	{"a newer key takes the place of one that was not used yet", []step{
		{want: "a=ed", is: "a Active"},
		{want: "b=ed", is: "a Active, b Staged(Pods)", changes: "b >Staged"},
		{want: "b=ed", is: "a Active, b Advertised(10h)", changes: "b Staged>Advertised"},
		{want: "c=ed", is: "a Active, c Staged(Pods)", changes: "b Advertised>, c >Staged"},
	}},
	{"a key of a new type is announced before it is used, and takes no key away", []step{
		{want: "a=ed", is: "a Active"},
		{want: "a=ed r=rsa", is: "a Active, r Staged(Pods)", changes: "r >Staged"},
		{want: "a=ed r=rsa", is: "a Active, r Advertised(10h)", changes: "r Staged>Advertised"},
		{after: 10 * time.Hour, want: "a=ed r=rsa", is: "a Active, r Active", changes: "r Advertised>Active"},
	}},
	{"a type that is taken away retires first", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "a=ed", late: true, is: "a Active, r Active(Pods)"},
		{want: "a=ed", is: "a Active, r Retiring(10h)", changes: "r Active>Retiring"},
		{after: 10 * time.Hour, want: "a=ed", is: "a Active", changes: "r Retiring>"},
	}},
	{"a type that is taken away comes back", []step{
		{want: "a=ed r=rsa", is: "a Active, r Active"},
		{want: "a=ed", is: "a Active, r Retiring(10h)", changes: "r Active>Retiring"},
		{want: "a=ed r=rsa", is: "a Active, r Active", changes: "r Retiring>Active"},
	}},
	{"a type that is taken away because its key is compromised", []step{
		{want: "a=ed r=rsa!", is: "a Active, r Active"},
		{want: "a=ed", late: true, is: "a Active", changes: "r Active>!"},
	}},
	{"one type for another: the new one is used before the old one retires", []step{
		{want: "r=rsa", is: "r Active"},
		{want: "a=ed", is: "r Active(NewKey), a Staged(Pods)", changes: "a >Staged"},
		{want: "a=ed", is: "r Active(NewKey), a Advertised(10h)", changes: "a Staged>Advertised"},
		{after: 10 * time.Hour, want: "a=ed", is: "a Active, r Active(Pods)", changes: "a Advertised>Active"},
		{want: "a=ed", is: "a Active, r Retiring(10h)", changes: "r Active>Retiring"},
		{after: 10 * time.Hour, want: "a=ed", is: "a Active", changes: "r Retiring>"},
	}},
	{"two types are taken away: one after the other", []step{
		{want: "a=ed r=rsa e=ecdsa", is: "a Active, r Active, e Active"},
		{want: "a=ed", is: "a Active, e Active(RetiringKey), r Retiring(10h)", changes: "r Active>Retiring"},
		{after: 10 * time.Hour, want: "a=ed", is: "a Active, e Active(Pods)", changes: "r Retiring>"},
		{want: "a=ed", is: "a Active, e Retiring(10h)", changes: "e Active>Retiring"},
	}},
	{"the same key by two SFTPKeys is one", []step{
		{want: "a=ed r=rsa a=ed", is: "a Active, r Active"},
		{want: "a=ed r=rsa a=ed", is: "a Active, r Active"},
	}},
}

func TestRotations(t *testing.T) {
	for _, tt := range slices.Concat(rotations, edges) {
		t.Run(tt.name, func(t *testing.T) {
			now, held, overlaps := began, []Held(nil), map[string]time.Duration{}
			for i, s := range tt.steps {
				now = now.Add(s.after)
				in := Input{Now: now, Wanted: parseKeys(s.want), Held: held, Acknowledged: !s.late}
				for _, k := range in.Wanted {
					overlaps[k.Name] = k.Overlap
				}
				p := Decide(in)
				is, changes := show(p, now)
				if is != s.is || changes != s.changes {
					t.Fatalf("step %d: %s; changes %s\nwant %s; changes %s", i, is, changes, s.is, s.changes)
				}
				if again, _ := show(Decide(in), now); again != is {
					t.Errorf("step %d: equal input gives %s and %s", i, is, again)
				}
				held = p.Keys
				for j := range held { // as they are read back from a status
					held[j].Next, held[j].WaitingFor, held[j].Overlap = time.Time{}, "", overlaps[held[j].Name]
				}
			}
		})
	}
}

// Keys recorded by an operator that knew no states count as Active.
func TestKeysWithoutAState(t *testing.T) {
	held := []Held{{Key: Key{Name: "a", Fingerprint: "SHA256:a", Type: "ed"}}}
	p := Decide(Input{Now: began, Wanted: parseKeys("b=ed"), Held: held})
	if is, changes := show(p, began); is != "a Active, b Staged(Pods)" || changes != "b >Staged" || !p.Keys[0].Since.Equal(began) {
		t.Errorf("%s; changes %s", is, changes)
	}
}

// Whatever is wanted and whenever: there is a key for key exchanges, one per type, at most one is Retiring, and only without an
// overlap does a key become Active that was not announced for it, or disappear that was not Retiring before.
func TestAnySequence(t *testing.T) {
	pool := parseKeys("a=ed b=ed c=ed r=rsa s=rsa e=ecdsa")
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 2026))
		now, held, wanted := began, []Held(nil), pool[:1]
		for range 100 {
			if random.IntN(4) == 0 {
				wanted = nil
				for _, n := range random.Perm(len(pool))[:1+random.IntN(4)] {
					wanted = append(wanted, pool[n])
				}
			}
			now = now.Add(time.Duration(random.IntN(10)-2) * time.Hour)
			p := Decide(Input{Now: now, Wanted: wanted, Held: held, Acknowledged: random.IntN(3) > 0})
			check(t, p, held, now)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			held = p.Keys
		}
	}
}

func check(t *testing.T, p Plan, before []Held, now time.Time) {
	t.Helper()
	active, retiring := map[string]int{}, 0
	for _, h := range p.Keys {
		switch h.State {
		case v1alpha1.HostKeyActive:
			active[h.Type]++
		case v1alpha1.HostKeyRetiring:
			retiring++
		case v1alpha1.HostKeyStaged, v1alpha1.HostKeyAdvertised:
		default:
			t.Errorf("%s has the state %q", h.Name, h.State)
		}
		if h.Since.After(now) {
			t.Errorf("%s is %s since a time to come", h.Name, h.State)
		}
	}
	if len(active) == 0 || retiring > 1 || len(p.Keys) > 10 {
		t.Errorf("%d types are Active, %d keys Retiring, of %d", len(active), retiring, len(p.Keys))
	}
	for keyType, n := range active {
		if n > 1 {
			t.Errorf("%d keys of type %s are Active", n, keyType)
		}
	}
	since := map[string]Held{}
	for _, h := range before {
		since[h.Name] = h
	}
	for _, c := range p.Changes {
		h, had := since[c.Name]
		switch {
		case c.To == v1alpha1.HostKeyActive && c.From == v1alpha1.HostKeyAdvertised && now.Sub(h.Since) < overlap,
			c.To == v1alpha1.HostKeyActive && c.From == v1alpha1.HostKeyStaged, c.To == v1alpha1.HostKeyActive && !had:
			t.Errorf("%s becomes Active, and was announced since %s", c.Name, h.Since)
		case c.To == "" && c.From == v1alpha1.HostKeyActive, c.To == "" && c.From == v1alpha1.HostKeyRetiring && now.Sub(h.Since) < overlap:
			t.Errorf("%s is gone, and was %s since %s", c.Name, c.From, h.Since)
		}
	}
}
