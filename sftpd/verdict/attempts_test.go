package verdict

import (
	"slices"
	"strconv"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

func certified(fingerprint string, reason event.Reason, id string) auth.Refusal {
	r := key(fingerprint, reason)
	r.Certificate = &auth.Certificate{KeyID: id}
	return r
}

// TestKeyIssue: the reason comes from the last key; a certificate takes precedence over its bare key, and a forged signature
// over both.
func TestKeyIssue(t *testing.T) {
	old, bare := certified("a", event.CertificateExpired, "old"), key("a", event.KeyNotRegistered)
	for name, tc := range map[string]struct {
		refusals    []auth.Refusal
		reason      event.Reason
		certificate string
		keys        []string
	}{
		"none":                      {nil, event.LoginAbandoned, "", nil},
		"a key":                     {[]auth.Refusal{bare}, event.KeyNotRegistered, "", []string{"a"}},
		"the same again":            {[]auth.Refusal{bare, bare}, event.KeyNotRegistered, "", []string{"a"}},
		"the same for another user": {[]auth.Refusal{bare, key("a", event.KeyExpired)}, event.KeyExpired, "", []string{"a"}},
		"a password after a key": {
			[]auth.Refusal{{Username: "ada", Step: factor.Password, Fingerprint: "a", Reason: event.WrongPassword}}, "", "", nil,
		},
		"a key and its certificate": {[]auth.Refusal{bare, old}, event.CertificateExpired, "old", []string{"a"}},
		"a certificate and its key": {[]auth.Refusal{old, bare}, event.CertificateExpired, "old", []string{"a"}},
		"another certificate of it": {
			[]auth.Refusal{old, bare, certified("a", event.CANotTrusted, "new")}, event.CANotTrusted, "new", []string{"a"},
		},
		"a certificate and another key": {[]auth.Refusal{old, key("b", event.KeyExpired)}, event.KeyExpired, "", []string{"a", "b"}},
		"and its own after that": {
			[]auth.Refusal{old, key("b", event.KeyExpired), bare}, event.KeyNotRegistered, "", []string{"a", "b"},
		},
		"forged with the certificate's key": {[]auth.Refusal{old, key("a", event.BadSignature)}, event.BadSignature, "", []string{"a"}},
		"forged, and its key":               {[]auth.Refusal{certified("a", event.BadSignature, "c"), bare}, event.BadSignature, "c", []string{"a"}},
		"a key and a wrong password":        {[]auth.Refusal{bare, wrong}, event.KeyNotRegistered, "", []string{"a"}},
		"a key that was used":               {[]auth.Refusal{key("a", event.KeyUsedBefore), key("b", event.KeyExpired)}, event.KeyExpired, "", []string{"b"}},
		"of an algorithm":                   {[]auth.Refusal{{Step: factor.PublicKey, Reason: event.AlgorithmRefused}}, "", "", nil},
	} {
		a := after(tc.refusals...)
		id := ""
		if c := a.Certificate(); c != nil {
			id = c.KeyID
		}
		if got := a.reason(false, false); got != tc.reason || id != tc.certificate || !slices.Equal(a.Keys(), tc.keys) {
			t.Errorf("%s: %q with %q of %q, want %q with %q of %q", name, got, id, a.Keys(), tc.reason, tc.certificate, tc.keys)
		}
	}
}

// TestMaxTries: a login that ends with the last try has this reason, whatever was refused, unless a signature was forged.
func TestMaxTries(t *testing.T) {
	several := []auth.Refusal{wrong, key("a", event.KeyNotRegistered), key("b", event.KeyUsedBefore), {Step: factor.PublicKey, Reason: event.AlgorithmRefused}}
	for _, partial := range []bool{false, true} {
		a := after(several...)
		if got := a.reason(true, partial); got != event.MaxTriesReached {
			t.Errorf("with the last try: %q", got)
		}
		if got := a.reason(false, partial); got != event.KeyNotRegistered {
			t.Errorf("with another left: %q", got)
		}
	}
}

// TestListsAreBounded: an audit line lists the first sixteen keys, and each user once.
func TestListsAreBounded(t *testing.T) {
	var a Attempts
	var want []string
	for i := range 40 {
		a.Gather(key(strconv.Itoa(i), event.KeyNotRegistered))
		if i < 16 {
			want = append(want, strconv.Itoa(i))
		}
	}
	if got := a.Keys(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := a.KeyUsers(); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("%q", got)
	}
}

// TestOfClosed: a connection closed by the daemon has the daemon's reason, whatever the client did, and is penalized only if
// its place was needed.
func TestOfClosed(t *testing.T) {
	for outcome := range handshake.NotLoggedIn + 1 {
		for _, reason := range []event.Reason{event.ShuttingDown, event.Displaced, event.InternalError} {
			for _, exchanged := range []bool{false, true} {
				e := End{Closed: reason, Failure: handshake.Failure{Outcome: outcome}, Exchanged: exchanged}
				want := Verdict{Telling: Connection, Reason: reason, Penalized: reason == event.Displaced, Penalty: penalty.NoAuth}
				if exchanged && outcome != handshake.NoCommonAlgorithm {
					want.Telling = Login
				}
				if got := Of(e, after(wrong)); got != want {
					t.Errorf("%+v: %+v, want %+v", e, got, want)
				}
			}
		}
	}
}
