package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/compile"
)

// A change that only adds users waits after a write; any other change is written at once.
func TestPace(t *testing.T) {
	for name, tc := range map[string]struct {
		shards   []string
		change   func(*compile.Output)
		hostKeys string
		waits    bool
	}{
		"one more":                {shards: []string{"a b x", "c"}, waits: true},
		"one more in each":        {shards: []string{"a b x", "c y"}, waits: true},
		"one less":                {shards: []string{"a", "c"}},
		"one more and one less":   {shards: []string{"a b x", ""}},
		"another one in a place":  {shards: []string{"a x", "c"}},
		"one changes":             {shards: []string{"a=2 b x", "c"}},
		"one more, others' keys":  {shards: []string{"a b x", "c"}, hostKeys: "other host keys"},
		"one more, other shards":  {shards: []string{"a b", "c", "x"}},
		"one moves":               {shards: []string{"a", "c b"}},
		"one more, one refused":   {shards: []string{"a b x", "c"}, change: func(o *compile.Output) { o.Settings.Revoked.Keys = []string{"SHA256:x"} }},
		"one is in no shard more": {shards: []string{"a b", "c"}, change: func(o *compile.Output) { o.Files.ShardDigests[0], o.Users[0].Digest = "changed", "" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.want("0 1 config", true, "a b", "c")
			var p Pace
			out := r.output(tc.shards...)
			if tc.change != nil {
				tc.change(&out)
			}
			keys := "host keys"
			if tc.hostKeys != "" {
				keys = tc.hostKeys
			}
			if at := p.Wait(noon, out, keys, &r.cache); !at.IsZero() {
				t.Errorf("after a rest it waits until %s", at)
			}
			p.Wrote(noon, 300*time.Millisecond)
			now := noon.Add(100 * time.Millisecond)
			want := time.Time{}
			if tc.waits {
				want = noon.Add(600 * time.Millisecond)
			}
			if at := p.Wait(now, out, keys, &r.cache); !at.Equal(want) {
				t.Errorf("it waits until %s, want %s", at, want)
			}
			if at := p.Wait(noon.Add(600*time.Millisecond), out, keys, &r.cache); !at.IsZero() {
				t.Errorf("then it waits until %s", at)
			}
			if at := p.Wait(noon.Add(-time.Hour), out, keys, &r.cache); !at.IsZero() {
				t.Errorf("with the clock set back, it waits until %s", at)
			}
			p.Wrote(noon, time.Minute)
			if at := p.Wait(now, out, keys, &r.cache); tc.waits && !at.Equal(noon.Add(longestRest)) {
				t.Errorf("after a long write, it waits until %s", at)
			}
		})
	}
}

// Checking whether everything can wait takes at most a fifth of the time, and a removal goes unnoticed for at most a tenth of a
// second.
func TestPaceOfLooks(t *testing.T) {
	for _, tc := range []struct{ took, after, rest time.Duration }{
		{10 * time.Millisecond, 0, 40 * time.Millisecond},
		{10 * time.Millisecond, 30 * time.Millisecond, 10 * time.Millisecond},
		{10 * time.Millisecond, 40 * time.Millisecond, 0},
		{10 * time.Millisecond, time.Hour, 0},
		{10 * time.Millisecond, -time.Hour, 0},
		{time.Second, 0, 100 * time.Millisecond},
	} {
		var p Pace
		if rest := p.Rest(noon); rest != 0 {
			t.Errorf("before, it rests for %s", rest)
		}
		p.Checked(noon, tc.took)
		if rest := p.Rest(noon.Add(tc.after)); rest != tc.rest {
			t.Errorf("%s after a look of %s, it rests for %s, want %s", tc.after, tc.took, rest, tc.rest)
		}
	}
}

// A removal whose settings could not be written is not complete: nothing must delay it.
func TestPaceOfWhatIsUnfinished(t *testing.T) {
	r := newRig(t)
	r.want("0 1 config", true, "a b", "c")
	r.fail(errDown, "apply", -1)
	if res, _ := r.write("a", "c"); !errors.Is(res.Err, errDown) {
		t.Fatalf("%+v", res)
	}
	p := Pace{until: noon.Add(time.Second)}
	if at := p.Wait(noon, r.output("a x", "c"), "host keys", &r.cache); !at.IsZero() {
		t.Errorf("it waits until %s", at)
	}
	var none Cache
	if at := p.Wait(noon, r.output("a x", "c"), "host keys", &none); !at.IsZero() {
		t.Errorf("with nothing written it waits until %s", at)
	}
}
