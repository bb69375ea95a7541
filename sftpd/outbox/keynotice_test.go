package outbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func keyOf(account string, end time.Time) Key {
	return Key{Account: account, UID: "uid-" + account, Login: "login", Fingerprint: "SHA256:" + account, NotAfter: end}
}

func TestNoticesOf(t *testing.T) {
	for name, c := range map[string]struct {
		end  time.Time
		want events.Type
	}{
		"long before":         {noon.Add(8 * day), ""},
		"the threshold":       {noon.Add(7 * day), events.KeyExpiring},
		"a second before":     {noon.Add(time.Second), events.KeyExpiring},
		"now":                 {noon, events.KeyExpired},
		"within a week":       {noon.Add(time.Second - 7*day), events.KeyExpired},
		"longer than a week":  {noon.Add(-7 * day), ""},
		"for years":           {noon.Add(-1000 * day), ""},
		"a certificate's end": {time.Unix(1<<62, 0), ""},
	} {
		k := keyOf("team/ada", c.end)
		other := k
		other.Login = "another name of the same user"
		var have []events.Type
		for _, n := range noticesOf([]Key{k, other}, "https://x/", 7*day, noon) {
			have = append(have, n.kind)
		}
		if c.want == "" && have != nil || c.want != "" && !slices.Equal(have, []events.Type{c.want}) {
			t.Errorf("%s: %v", name, have)
		}
	}
}

// An ID is the same in each pod and at any time, and differs whenever the event is a different one.
func TestIDsOfKeys(t *testing.T) {
	id := func(k Key, source string, now time.Time) string { return noticesOf([]Key{k}, source, 7*day, now)[0].id }
	k := keyOf("team/ada", noon.Add(day))
	first := id(k, "https://x/", noon)
	if len(first) != 26 || first != id(k, "https://x/", noon.Add(time.Hour)) {
		t.Errorf("%q", first)
	}
	ids := map[string]bool{first: true}
	for _, change := range []func(*Key){
		func(k *Key) { k.UID = "another user of the name" },
		func(k *Key) { k.Fingerprint = "SHA256:other" },
		func(k *Key) { k.NotAfter = k.NotAfter.Add(time.Second) },
	} {
		other := k
		change(&other)
		ids[id(other, "https://x/", noon)] = true
	}
	ids[id(k, "https://y/", noon)] = true
	ids[id(k, "https://x/", noon.Add(day))] = true // it has expired
	if len(ids) != 6 {
		t.Errorf("%d different IDs", len(ids))
	}
}

// A namespace with thousands of keys does not delay another one, and a pass is bounded.
func TestNoticesAreFair(t *testing.T) {
	var keys []Key
	for i := range 3 * noticesOfPass {
		keys = append(keys, keyOf(fmt.Sprintf("a-crowd/%d", i), noon.Add(time.Hour)))
	}
	keys = append(keys, keyOf("z/last", noon.Add(6*day)), keyOf("z/first", noon.Add(2*day)))
	due := noticesOf(keys, "https://x/", 7*day, noon)
	all := func(notice) []string { return []string{"a", "b"} }
	m := memory{}
	out := m.lacking(due, all)
	if len(out) != noticesOfPass || out[1].Account != "z/first" || out[3].Account != "z/last" {
		t.Fatalf("%d notices, %s, %s", len(out), out[1].Account, out[3].Account)
	}
	for range 4 {
		for _, n := range m.lacking(due, all) {
			m.note(n)
		}
	}
	if left := m.lacking(due, all); len(left) != 0 || len(m) != len(keys) {
		t.Errorf("%d are left, %d remembered", len(left), len(m))
	}
	left := m.lacking(due[:5], func(notice) []string { return []string{"b", "new"} })
	if len(left) != 5 || !slices.Equal(left[0].sinks, []string{"new"}) {
		t.Errorf("%+v", left)
	}
}

func TestForget(t *testing.T) {
	due := noticesOf([]Key{keyOf("a/a", noon.Add(time.Hour))}, "https://x/", 7*day, noon)
	m := memory{"past": {Until: noon.Unix()}, "other": {Until: noon.Add(day).Unix()}, due[0].id: {Until: noon.Add(time.Hour).Unix()}}
	if m.forget(due, noon); len(m) != 2 {
		t.Errorf("%v", m)
	}
	for i := range maxNotices {
		m[strconv.Itoa(i)] = remembered{Until: noon.Add(day).Unix()}
	}
	if m.forget(due, noon); len(m) != 1 || m[due[0].id].Until == 0 {
		t.Errorf("%d are left", len(m))
	}
}

func FuzzMemory(f *testing.F) {
	id := events.KeyID("https://x/", events.KeyExpiring, "uid", "SHA256:x", noon)
	f.Add([]byte(`{"` + id + `":{"until":1,"sinks":["a"]}}`))
	f.Add([]byte(`{"` + id + `":{"until":1,"sinks":["../a"]}}`))
	f.Add([]byte(`{"x":{"until":1}}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMemory(data)
		if err != nil {
			return
		}
		for id, r := range m {
			if len(id) != 26 || len(r.Sinks) > events.MaxSinks || strings.ContainsAny(strings.Join(r.Sinks, ""), "/\x00") {
				t.Fatalf("%q: %+v", id, r)
			}
		}
		before := maps.Clone(m)
		m.forget(nil, noon)
		for id := range m {
			if before[id].Until <= noon.Unix() {
				t.Fatal("an old one stays")
			}
		}
	})
}
