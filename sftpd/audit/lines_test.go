package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// lineOf returns the fields of the line of an event without its time and those that every line has, nil for no line.
func lineOf(t *testing.T, e event.Event) map[string]any {
	t.Helper()
	var out bytes.Buffer
	l := New(&out, func() (string, string) { return "files", "public" })
	l.Emit(e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	if out.Len() == 0 {
		return nil
	}
	var got map[string]any
	d := json.NewDecoder(&out)
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"time", "schema", "namespace", "listener"} {
		if got[field] == nil {
			t.Errorf("%T has no %s", e, field)
		}
		delete(got, field)
	}
	return got
}

// TestWholeLines: each line has exactly these fields.
func TestWholeLines(t *testing.T) {
	c := &event.Connection{
		ID: "c1", Source: "192.0.2.1:5", Proxy: "10.0.0.1:7", ClientVersion: "SSH-2.0-x", User: "ada", Account: "team/ada",
		Methods: []string{"PublicKey", "Password"}, Keys: []string{"SHA256:a", "SHA256:b", "SHA256:c"},
		Certificate: &event.Certificate{CA: "SHA256:ca", KeyID: "ada@corp", Serial: 18446744073709551615},
	}
	file := event.File{Path: "/f", Direction: "both", BytesRead: 5, BytesWritten: 6, Duration: 1500 * time.Millisecond}
	const of = `"connection":"c1","source":"192.0.2.1:5","proxy":"10.0.0.1:7","user":"ada","account":"team/ada",` +
		`"methods":["PublicKey","Password"],"key_fingerprint":"SHA256:a","further_key_fingerprints":["SHA256:b","SHA256:c"],`
	const session = of + `"client_version":"SSH-2.0-x","certificate_ca":"SHA256:ca","certificate_key_id":"ada@corp","certificate_serial":"18446744073709551615",`
	for want, e := range map[string]event.Event{
		session + `"event":"connection_refused","result":"refused","reason":"startups","detail":"why"`: event.ConnectionRefused{
			Connection: c, Reason: event.Startups, Detail: "why",
		},
		session + `"event":"login_refused","result":"refused","reason":"wrong_password","detail":"why","keys_offered":["SHA256:d","SHA256:e"]`: event.LoginRefused{
			Connection: c, Reason: event.WrongPassword, Detail: "why", KeysOffered: []string{"SHA256:d", "SHA256:e"},
		},
		session + `"event":"login","result":"ok","detail":"how","key_exchange":"kex","cipher":"aes","mac":"umac","host_key_algorithm":"ed","public_key_algorithm":"rsa"`: event.Login{
			Connection: c, Detail: "how", Algorithms: event.Algorithms{KeyExchange: "kex", Cipher: "aes", MAC: "umac", HostKey: "ed", PublicKey: "rsa"},
		},
		session + `"event":"session_revoked","result":"ok","reason":"key_removed"`: event.SessionRevoked{Connection: c, Reason: event.KeyRemoved},
		session + `"event":"logout","result":"ok","reason":"idle_timeout","duration_ms":2500`: event.Logout{
			Connection: c, Reason: event.IdleTimeout, Duration: 2500 * time.Millisecond,
		},
		session + `"event":"logout","result":"ok","duration_ms":0`: event.Logout{Connection: c},
		of + `"event":"transfer","result":"failed","reason":"eio","path":"/f","direction":"both","bytes_read":5,"bytes_written":6,"duration_ms":1500,` +
			`"left":"kept","created":true,"truncated":true`: event.Transfer{
			Connection: c, File: file, Result: event.Failed, Error: "eio", Left: "kept", Created: true, Truncated: true,
		},
		of + `"event":"transfer","result":"ok","path":"/f","bytes_read":0,"bytes_written":0,"duration_ms":0,"sha256":"0a","created":true`: event.Transfer{
			Connection: c, File: event.File{Path: "/f"}, Result: event.OK, SHA256: "0a", Created: true,
		},
		of + `"event":"transfer_open","result":"ok","path":"/f","direction":"both","bytes_read":5,"bytes_written":6,"duration_ms":1500`: event.TransferOpen{
			Connection: c, File: file,
		},
		of + `"event":"operation","result":"refused","reason":"denied","operation":"setstat","path":"/f","target":"/g","bytes_read":1,` +
			`"set_size":"1","set_mode":"0644","set_owner":"1:2","set_atime":"a","set_mtime":"m"`: event.Operation{
			Connection: c, Operation: "setstat", Path: "/f", Target: "/g", BytesRead: 1, Result: event.WasRefused, Status: "denied",
			Set: event.Attributes{Size: "1", Mode: "0644", Owner: "1:2", Atime: "a", Mtime: "m"},
		},
		of + `"event":"operation","result":"ok","operation":"mkdir","path":"/f"`: event.Operation{
			Connection: c, Operation: "mkdir", Path: "/f", Result: event.OK,
		},
		of + `"event":"operation","result":"failed","reason":"gone","operation":"stat","count":1`: event.OperationsFailed{
			Connection: c, Operation: "stat", Result: event.Failed, Status: "gone", Count: 1,
		},
		`"connection":"c2","event":"logout","result":"ok","duration_ms":0,"methods":["TOTP"],"key_fingerprint":"SHA256:a","further_key_fingerprints":["SHA256:b"]`: event.Logout{
			Connection: &event.Connection{ID: "c2", Methods: []string{"TOTP"}, Keys: []string{"SHA256:a", "SHA256:b"}},
		},
		`"connection":"c2","event":"logout","result":"ok","duration_ms":0`:                              event.Logout{Connection: &event.Connection{ID: "c2"}},
		`"connection":"c2","event":"logout","result":"ok","duration_ms":0,"key_fingerprint":"SHA256:a"`: event.Logout{Connection: &event.Connection{ID: "c2", Keys: []string{"SHA256:a"}}},
	} {
		var expected map[string]any
		d := json.NewDecoder(strings.NewReader("{" + want + "}"))
		d.UseNumber()
		if err := d.Decode(&expected); err != nil {
			t.Fatal(err)
		}
		if got := lineOf(t, e); !reflect.DeepEqual(got, expected) {
			t.Errorf("%T:\nhave %v\nwant %v", e, got, expected)
		}
	}
}

// lockedBuffer can be read while lines are written to it.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// TestFirstRefusalIsWrittenAtOnce: Run writes it while it runs, and repetitions once their interval is over.
func TestFirstRefusalIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		l := New(&out, func() (string, string) { return "", "" })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		refuse := func() {
			l.Emit(event.ConnectionRefused{
				Connection: &event.Connection{Network: netip.MustParsePrefix("192.0.2.0/24")}, Reason: event.Startups,
			})
		}
		lines := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if got := strings.Count(out.String(), "\n"); got != want {
				t.Errorf("%d lines, want %d:\n%s", got, want, out.String())
			}
		}
		refuse()
		lines(0, 1)
		refuse()
		refuse()
		lines(TallyInterval-time.Second, 1)
		lines(2*time.Second, 2)
		if !strings.Contains(out.String(), `"count":2,`) && !strings.Contains(out.String(), `"count":2}`) {
			t.Errorf("no count: %s", out.String())
		}
		lines(10*TallyInterval, 2)
		refuse()
		lines(0, 3)
		cancel()
		<-done
	})
}

// TestRefusalsThatDoNotFit: refusals for which there is no room are counted and written later, and none is lost.
func TestRefusalsThatDoNotFit(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, func() (string, string) { return "", "" })
	const n = 3000
	for i := range n {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		l.Emit(event.ConnectionRefused{Connection: &event.Connection{Network: network}, Reason: event.Startups})
	}
	l.tally(Entry{Event: LoginRefused, Reason: "other"}, &event.Connection{}) // a kind that the tally has no room for
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	total := 0
	for line := range strings.Lines(out.String()) {
		var got struct{ Count int }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		total += max(1, got.Count)
	}
	if total != n+1 {
		t.Errorf("%d refusals are in the log, want %d", total, n+1)
	}
}

// TestUnwritten: a first refusal that could not be written counts as a repetition, wherever it is counted.
func TestUnwritten(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	source := func(i int) Refusal {
		return Refusal{ConnectionRefused, "startups", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}
	}
	for name, tc := range map[string]struct {
		counted int // sources before
		want    Repeated
	}{
		"by its source":     {0, Repeated{source(5000), 1}},
		"with those beyond": {maxTallied, Repeated{Refusal{ConnectionRefused, "startups", netip.Prefix{}}, 1}},
	} {
		tally := NewTally(func() time.Time { return now })
		for i := range tc.counted {
			tally.Count(source(i))
		}
		if !tally.Count(source(5000)) {
			t.Errorf("%s: not the first", name)
		}
		tally.Unwritten(source(5000))
		if got := tally.All(); len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	tally := NewTally(func() time.Time { return now })
	tally.Unwritten(source(1)) // it was forgotten meanwhile
	if got := tally.All(); len(got) != 1 || got[0] != (Repeated{Refusal{ConnectionRefused, "startups", netip.Prefix{}}, 1}) {
		t.Errorf("%v", got)
	}
}

// TestCutEscaped compares the cut with the definition: the longest beginning, in whole characters, that fits as it is written.
func TestCutEscaped(t *testing.T) {
	size := func(of, s string) int {
		n := 0
		for _, r := range s {
			n += escapedSize(r)
		}
		if !utf8.ValidString(of) {
			n += 2 * len(s)
		}
		return n
	}
	parts := []string{"a", `"`, `\`, "\n", "ä", "€", "𝄞", "\U000e0001", "\u202e", "\x7f", "\xff", "\xc3"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(parts[r.IntN(len(parts)-2*r.IntN(2))])
		}
		s, limit := b.String(), r.IntN(60)
		want := ""
		for i := 0; i <= len(s); {
			if size(s, s[:i]) > limit {
				break
			}
			want = s[:i]
			_, width := utf8.DecodeRuneInString(s[i:])
			if i += width; width == 0 {
				break
			}
		}
		if got := cutEscaped(s, limit); got != want {
			t.Fatalf("%q within %d is %q, want %q", s, limit, got, want)
		}
	}
}

// TestEscapedSize: a character takes as many bytes in a line as is counted for it.
func TestEscapedSize(t *testing.T) {
	for _, r := range []rune{'a', '"', '\\', '\n', 0, 0x1b, 0x7e, 0x7f, 0x80, 0x9b, 'ä', '€', 0x2028, 0x202e, 0xfeff, 0xfffd, 0xffff, 0x10000, '𝄞', 0xe0001, 0x10ffff} {
		line, _ := write(t, Entry{Event: Operation, Path: "/" + string(r) + "/"})
		_, rest, _ := strings.Cut(line, `"path":"/`)
		text, _, _ := strings.Cut(rest, `/"`)
		if len(text) > escapedSize(r) || len(text) < escapedSize(r)-4 {
			t.Errorf("%U is %q, and counted as %d bytes", r, text, escapedSize(r))
		}
	}
}

// TestBoundOfBytesThatAreNotUTF8: text that is not UTF-8 is in a line twice, and both together keep to the bound.
func TestBoundOfBytesThatAreNotUTF8(t *testing.T) {
	for _, n := range []int{127, 340, 575, 767, 768} {
		s := strings.Repeat("\x01", n) + "\xff"
		_, got := write(t, Entry{Event: Operation, Path: s})
		text, _ := got["path"].(string)
		exact, _ := got["path_base64"].(string)
		if size := len(quoted(text)) - 2 + len(exact); size > 4608 || text == "" {
			t.Errorf("%d bytes take %d in the line, more than 4608", len(s), size)
		}
	}
}

// TestBoundsOfTexts: a text of exactly the allowed length is whole, one that is longer is cut and has its length.
func TestBoundsOfTexts(t *testing.T) {
	for field, tc := range map[string]struct {
		set   func(*Entry, string)
		limit int
	}{
		"reason":             {func(e *Entry, s string) { e.Reason = s }, 256},
		"detail":             {func(e *Entry, s string) { e.Detail = s }, 1024},
		"client_version":     {func(e *Entry, s string) { e.ClientVersion = s }, 256},
		"user":               {func(e *Entry, s string) { e.User = s }, 256},
		"certificate_key_id": {func(e *Entry, s string) { e.CertificateKeyID = s }, 256},
		"path":               {func(e *Entry, s string) { e.Path = s }, 4096},
		"target":             {func(e *Entry, s string) { e.Target = s }, 4096},
	} {
		for _, n := range []int{tc.limit - 1, tc.limit, tc.limit + 1} {
			e := Entry{Event: Operation}
			tc.set(&e, strings.Repeat("x", n))
			_, got := write(t, e)
			text, _ := got[field].(string)
			if length, cut := got[field+"_length"]; len(text) != min(n, tc.limit) || cut != (n > tc.limit) || cut && length != float64(n) {
				t.Errorf("%s of %d bytes: %d bytes, length %v", field, n, len(text), length)
			}
		}
	}
	// Escaped, the limits are these, where "\x01" takes six bytes.
	for field, tc := range map[string]struct {
		set     func(*Entry, string)
		escapes int
		more    int // bytes of one
	}{
		"user":   {func(e *Entry, s string) { e.User = s }, 128, 0},   // 768
		"detail": {func(e *Entry, s string) { e.Detail = s }, 341, 2}, // 2048
		"path":   {func(e *Entry, s string) { e.Path = s }, 768, 0},   // 4608
	} {
		fits := strings.Repeat("\x01", tc.escapes) + strings.Repeat("x", tc.more)
		for _, text := range []string{fits, fits + "x"} {
			e := Entry{Event: Operation}
			tc.set(&e, text)
			_, got := write(t, e)
			if _, cut := got[field+"_length"]; got[field] != fits || cut != (text != fits) {
				t.Errorf("%s of %d bytes: %d bytes, cut %v", field, len(text), len(got[field].(string)), cut)
			}
		}
	}
	if got := PathSize(strings.Repeat("x", 5000)); got != 4096+512 {
		t.Errorf("a long path is charged with %d bytes", got)
	}
	if got := PathSize("/a"); got != 2 {
		t.Errorf("a short path is charged with %d bytes", got)
	}
}

// TestExactBytes: text that is not UTF-8 is readable, and in base64 as it is; other text has no base64.
func TestExactBytes(t *testing.T) {
	_, got := write(t, Entry{Event: Operation, Path: "/a\xffb", Target: "/c"})
	if got["path"] != "/a\uFFFDb" || got["path_base64"] != base64.StdEncoding.EncodeToString([]byte("/a\xffb")) {
		t.Errorf("%v", got)
	}
	if _, there := got["target_base64"]; there || got["path_length"] != nil {
		t.Errorf("%v", got)
	}
}

// TestFieldsAreUnique: a line has each field once, and its time is in UTC whatever the server's time zone is.
func TestFieldsAreUnique(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local) //nolint:gosmopolitan // the zone of the container
	time.Local = time.FixedZone("east", 3600)                         //nolint:gosmopolitan // likewise
	for _, e := range []Event{Transfer, TransferOpen, Operation, Login} {
		line, got := write(t, Entry{Event: e, BytesRead: 3, BytesWritten: 4})
		want := 1
		if e == Login {
			want = 0
		}
		if n := strings.Count(line, `"bytes_read"`); n != want {
			t.Errorf("%s has bytes_read %d times: %s", e, n, line)
		}
		if at, _ := got["time"].(string); !strings.HasSuffix(at, "Z") {
			t.Errorf("%s", at)
		}
	}
}

// TestRepetitions: a line about repetitions says what was repeated, and from which network if it is one.
func TestRepetitions(t *testing.T) {
	for network, source := range map[netip.Prefix]string{netip.MustParsePrefix("192.0.2.0/24"): `"source":"192.0.2.0/24",`, {}: ""} {
		var out bytes.Buffer
		l := New(&out, func() (string, string) { return "files", "public" })
		for range 3 {
			l.Emit(event.ConnectionRefused{Connection: &event.Connection{Network: network, ID: "c"}, Reason: event.Startups})
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.Run(ctx)
		_, last, _ := strings.Cut(out.String(), "\n")
		_, last, _ = strings.Cut(last, `"schema"`)
		want := `:1,"event":"connection_refused","result":"refused","reason":"startups","namespace":"files","listener":"public",` + source + `"count":2}` + "\n"
		if last != want {
			t.Errorf("have %s\nwant %s", last, want)
		}
	}
}

// TestWhatIsTallied: only connections that are refused, and penalized logins. Events of different kinds are counted separately.
func TestWhatIsTallied(t *testing.T) {
	c := &event.Connection{Network: netip.MustParsePrefix("192.0.2.0/24")}
	var out bytes.Buffer
	l := New(&out, func() (string, string) { return "", "" })
	for range 3 {
		l.Emit(event.LoginRefused{Connection: c, Reason: event.WrongPassword})
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines of 3 wrong passwords", n)
	}
	out.Reset()
	l.Emit(event.LoginRefused{Connection: c, Reason: event.LoginPenalized})
	l.Emit(event.ConnectionRefused{Connection: c, Reason: event.LoginPenalized})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Contains(out.String(), "count") {
		t.Errorf("%d lines of two kinds:\n%s", n, out.String())
	}
}
