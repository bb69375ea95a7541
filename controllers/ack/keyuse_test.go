package ack

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// ours knows the user u with the keys k1 and k2, and the host key h.
var ours = Known{
	Keys:    2,
	User:    func(uid string) bool { return uid == "u" },
	Key:     func(uid, fingerprint string) bool { return uid == "u" && (fingerprint == "k1" || fingerprint == "k2") },
	HostKey: func(fingerprint string) bool { return fingerprint == "h" },
}

// The request is authenticated and says what is already known; the answer is what a daemon sends.
func TestKeyUse(t *testing.T) {
	var got *http.Request
	answer := []byte(`{"instance":"i2","sequence":9,"more":true,"uses":[{"uid":"u","fingerprint":"k1","day":"2026-11-25"}],"newField":{"a":[1]}}`)
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		sealed(t, current, "a", answer)(w, r)
	})
	r, err := NewHTTPStatusClient().KeyUse(t.Context(), p, current, ours, config.KeyUseReport{Instance: "i1&after=0", Sequence: 7})
	if err != nil || r.Instance != "i2" || r.Sequence != 9 || !r.More || len(r.Uses) != 1 || r.Uses[0] != (config.KeyUse{UID: "u", Fingerprint: "k1", Day: "2026-11-25"}) {
		t.Errorf("%+v, %v", r, err)
	}
	q := got.URL.Query()
	if got.URL.Path != "/keyuse" || q.Get("instance") != "i1&after=0" || q.Get("after") != "7" || q.Get("limit") != "1004" {
		t.Errorf("asked for %s", got.URL)
	}
	want := config.KeyUseProof(current, got.Header.Get(config.NonceHeader), "a", config.KeyUseQuestion{Instance: "i1&after=0", Sequence: 7, Limit: 1004})
	if got.Header.Get(config.ProofHeader) != want {
		t.Errorf("headers %v, want the proof %s", got.Header, want)
	}
	if strings.Contains(got.URL.String(), current) || slices.ContainsFunc(slices.Concat(got.Header["Authorization"], got.Header[config.ProofHeader]), func(v string) bool { return strings.Contains(v, current) }) {
		t.Error("the key was sent")
	}
}

func TestKeyUseDoubtsTheAnswer(t *testing.T) {
	answer := []byte(`{"instance":"i2","uses":[{"uid":"u","fingerprint":"k1","day":"2026-11-25"}]}`)
	for name, serve := range map[string]http.HandlerFunc{
		"a foreign key":  sealed(t, foreign, "a", answer),
		"of another pod": sealed(t, current, "b", answer),
		"not sealed":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) },
		"empty":          func(http.ResponseWriter, *http.Request) {},
		"of another request": func(w http.ResponseWriter, _ *http.Request) {
			s, err := config.SealKeyUse(current, "a nonce from before", "a", answer)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewHTTPStatusClient().KeyUse(t.Context(), answering(t, serve), current, ours, config.KeyUseReport{})
			if !errors.Is(err, ErrUnproven) || len(r.Uses) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// Redirects are not followed.
func TestKeyUseFollowsNoRedirection(t *testing.T) {
	elsewhere := false
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			elsewhere = true
		}
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	if _, err := NewHTTPStatusClient().KeyUse(t.Context(), p, current, ours, config.KeyUseReport{}); err == nil || elsewhere {
		t.Errorf("%v, followed: %v", err, elsewhere)
	}
}

func TestDecode(t *testing.T) {
	use := func(uid, fingerprint string) string {
		return `{"uid":"` + uid + `","fingerprint":"` + fingerprint + `","day":"2026-11-25"}`
	}
	many := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	for name, tc := range map[string]struct {
		report  string
		uses    int
		proofs  int
		problem string
	}{
		"nothing":            {report: `{}`},
		"null":               {report: `{"uses":null,"hostKeyProofs":null}`},
		"known":              {report: `{"uses":[` + use("u", "k1") + `,` + use("u", "k2") + `]}`, uses: 2},
		"twice":              {report: `{"uses":[` + many(5, use("u", "k1")) + `],"uses":[` + use("u", "k1") + `]}`, uses: 1},
		"foreign users":      {report: `{"uses":[` + use("x", "k1") + `]}`},
		"foreign keys":       {report: `{"uses":[` + use("u", "k3") + `]}`},
		"proofs":             {report: `{"hostKeyProofs":[{"uid":"u","fingerprint":"h"},{"uid":"u","fingerprint":"h"},{"uid":"x","fingerprint":"h"},{"uid":"u","fingerprint":"x"}]}`, proofs: 1},
		"as many as allowed": {report: `{"uses":[` + many(6, "{}") + `],"hostKeyProofs":[` + many(4, "{}") + `]}`},
		"too many":           {report: `{"uses":[` + many(6, "{}") + `],"hostKeyProofs":[` + many(5, "{}") + `]}`, problem: "more entries"},
		"no object":          {report: `[]`, problem: "missing"},
		"no array":           {report: `{"uses":{}}`, problem: "an array is missing"},
		"no entries":         {report: `{"uses":[1]}`, problem: "cannot unmarshal"},
		"cut":                {report: `{"uses":[`, problem: "EOF"},
		"cut before its end": {report: `{"uses":[]`, problem: "EOF"},
		"empty":              {report: ``, problem: "EOF"},
		"more after it":      {report: `{}{}`, problem: "something follows"},
		"a long instance":    {report: `{"instance":"` + strings.Repeat("i", 65) + `"}`, problem: "too long"},
		"a negative number":  {report: `{"sequence":-1}`, problem: "cannot unmarshal"},
	} {
		r, err := ours.decode(t.Context(), []byte(tc.report), 10)
		if len(r.Uses) != tc.uses || len(r.HostKeyProofs) != tc.proofs || (err == nil) != (tc.problem == "") || err != nil && !strings.Contains(err.Error(), tc.problem) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ours.decode(ctx, []byte(`{"uses":[{}]}`), 10); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: %v", err)
	}
	if r, err := (Known{}).decode(t.Context(), []byte(`{"uses":[`+use("u", "k1")+`],"hostKeyProofs":[{"uid":"u","fingerprint":"h"}]}`), 10); err != nil || len(r.Uses)+len(r.HostKeyProofs) > 0 {
		t.Errorf("who knows nothing believes %+v, %v", r, err)
	}
}

func TestLimit(t *testing.T) {
	for keys, want := range map[int]int{-1: 1000, 0: 1000, 10: 1020, 524: 2048, 1 << 40: 2048} {
		if got := (Known{Keys: keys}).limit(); got != want {
			t.Errorf("%d keys: %d", keys, got)
		}
	}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, e := range []any{
		config.KeyUse{UID: strings.Repeat("u", 63), Fingerprint: strings.Repeat("f", 50), Day: "2026-11-25"},
		config.LoginRefusals{
			UID: strings.Repeat("u", 63), Since: at, Last: at, Count: math.MaxUint64, Reason: strings.Repeat("r", maxRefusalReason),
			Source: strings.Repeat("a", 45), Fingerprint: strings.Repeat("f", 50),
		},
	} {
		entry, err := json.Marshal(e)
		if err != nil || len(entry)+1 > entrySize {
			t.Errorf("an entry has %d bytes, %v: %s", len(entry), err, entry)
		}
	}
}

// Refusals are about known users, one for each, and have the shape that a daemon gives them: they are copied into statuses.
func TestRefusals(t *testing.T) {
	entry := func(change string) string {
		e := map[string]any{"uid": "u", "since": "2026-11-25T12:00:00Z", "last": "2026-11-25T12:00:01Z", "count": 2, "reason": "wrong_password", "source": "192.0.2.1"}
		if change != "" {
			var c map[string]any
			if err := json.Unmarshal([]byte(change), &c); err != nil {
				t.Fatal(err)
			}
			maps.Copy(e, c)
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for change, want := range map[string]int{
		"":                      1,
		`{"uid":"x"}`:           0,
		`{"count":0}`:           0,
		`{"reason":""}`:         0,
		`{"reason":"Wrong! *"}`: 0,
		`{"reason":"` + strings.Repeat("r", 65) + `"}`: 0,
		`{"source":""}`:             1,
		`{"source":"2001:db8::1"}`:  1,
		`{"source":"fe80::1%eth0"}`: 0,
		`{"source":"<b>"}`:          0,
		`{"fingerprint":"SHA256:` + strings.Repeat("A", 43) + `"}`: 1,
		`{"fingerprint":"SHA256:` + strings.Repeat("A", 44) + `"}`: 0,
		`{"fingerprint":"text"}`:                                   0,
		`{"since":"2026-11-25T12:00:02Z"}`:                         0, // after the last
		`{"since":"0001-01-01T00:00:00Z"}`:                         0,
	} {
		r, err := ours.decode(t.Context(), []byte(`{"refusals":[`+entry(change)+`,`+entry(change)+`]}`), 10)
		if err != nil || len(r.Refusals) != want {
			t.Errorf("%s: %+v, %v; want %d", change, r.Refusals, err, want)
		}
	}
	if _, err := ours.decode(t.Context(), []byte(`{"refusals":[{},{},{}]}`), 2); !errors.Is(err, errTooMany) {
		t.Errorf("too many: %v", err)
	}
}

// Whatever a pod reports, only known users and keys are kept. Everything that a daemon reports is kept.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"instance":"i","sequence":9,"more":true,"uses":[{"uid":"u","fingerprint":"k1","day":"2026-11-25"}],"hostKeyProofs":[{"uid":"u","fingerprint":"h"}]}`))
	f.Add([]byte(`{"refusals":[{"uid":"u","since":"2026-11-25T12:00:00Z","last":"2026-11-25T12:00:01Z","count":2,"reason":"wrong_password","source":"192.0.2.1"}]}`))
	f.Add([]byte(`{"uses":[{},{}],"x":[[[{}]]]}`))
	f.Fuzz(func(t *testing.T, report []byte) {
		const limit = 10
		r, err := ours.decode(context.Background(), report, limit)
		if err != nil {
			if r.Instance != "" || r.Uses != nil || r.HostKeyProofs != nil || r.Refusals != nil {
				t.Fatalf("%+v with %v", r, err)
			}
			return
		}
		if len(r.Uses)+len(r.HostKeyProofs)+len(r.Refusals) > limit || len(r.Instance) > maxInstance {
			t.Fatalf("%+v", r)
		}
		for _, u := range r.Uses {
			if !ours.use(u) {
				t.Fatalf("believed %+v", u)
			}
		}
		for _, p := range r.HostKeyProofs {
			if !ours.proof(p) {
				t.Fatalf("believed %+v", p)
			}
		}
		for _, e := range r.Refusals {
			if !ours.refusal(e) {
				t.Fatalf("believed %+v", e)
			}
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		same, err := ours.decode(context.Background(), again, limit)
		if err != nil || !slices.Equal(same.Uses, r.Uses) || !slices.Equal(same.HostKeyProofs, r.HostKeyProofs) || len(same.Refusals) != len(r.Refusals) || same.Sequence != r.Sequence || same.More != r.More {
			t.Fatalf("%+v read again: %+v, %v", r, same, err)
		}
	})
}
