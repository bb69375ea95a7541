package verdict

import (
	"errors"
	"reflect"
	"strconv"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/handshake"
	"github.com/sftp-operator/sftp-operator/sftpd/penalty"
)

func key(fingerprint string, reason event.Reason) auth.Refusal {
	return auth.Refusal{Username: "ada", Step: factor.PublicKey, Fingerprint: fingerprint, Reason: reason}
}

var wrong = auth.Refusal{Username: "ada", Step: factor.Password, Reason: event.WrongPassword}

func after(refusals ...auth.Refusal) *Attempts {
	var a Attempts
	for _, r := range refusals {
		a.Gather(r)
	}
	return &a
}

// TestOf: the reason and penalty of each outcome.
func TestOf(t *testing.T) {
	none := errors.New("no common algorithm")
	free := func(tell Telling, reason event.Reason) Verdict {
		return Verdict{Telling: tell, Reason: reason, Penalty: penalty.NoAuth}
	}
	paid := func(tell Telling, reason event.Reason, p penalty.Event) Verdict {
		return Verdict{Telling: tell, Reason: reason, Penalized: true, Penalty: p}
	}
	notLoggedIn, noTriesLeft := handshake.Failure{Outcome: handshake.NotLoggedIn}, handshake.Failure{Outcome: handshake.NoTriesLeft}
	for name, tc := range map[string]struct {
		end      End
		attempts *Attempts
		want     Verdict
	}{
		"probe": {End{Failure: handshake.Failure{Outcome: handshake.Silent}}, after(), Verdict{Telling: Probe}},
		"silent until the daemon closed it": {
			End{Closed: event.ShuttingDown, Failure: handshake.Failure{Outcome: handshake.Silent}}, after(), free(Connection, event.ShuttingDown),
		},
		"gave its place up": {
			End{Closed: event.Displaced, Failure: handshake.Failure{Outcome: handshake.Left}}, after(), paid(Connection, event.Displaced, penalty.NoAuth),
		},
		"gave its place up after keys": {
			End{Closed: event.Displaced, Failure: notLoggedIn, Exchanged: true}, after(), paid(Login, event.Displaced, penalty.NoAuth),
		},
		"closed after a wrong password": {
			End{Closed: event.InternalError, Failure: notLoggedIn, Exchanged: true}, after(wrong), free(Login, event.InternalError),
		},
		"took too long": {
			End{Failure: handshake.Failure{Outcome: handshake.TimedOut}}, after(), paid(Connection, event.LoginGraceExceeded, penalty.GraceExceeded),
		},
		"took too long after keys": {
			End{Failure: handshake.Failure{Outcome: handshake.TimedOut}, Exchanged: true}, after(wrong), paid(Login, event.LoginGraceExceeded, penalty.GraceExceeded),
		},
		"sent too much": {
			End{Failure: handshake.Failure{Outcome: handshake.TooMuch}, Exchanged: true}, after(), paid(Login, event.TooMuchBeforeLogin, penalty.ProtocolError),
		},
		"not SSH": {
			End{Failure: handshake.Failure{Outcome: handshake.ProtocolError}}, after(), paid(Counted, event.ProtocolError, penalty.ProtocolError),
		},
		"left early": {End{Failure: handshake.Failure{Outcome: handshake.Left}}, after(), paid(Counted, event.ClientLeft, penalty.NoAuth)},
		"no algorithm": {
			End{Failure: handshake.Failure{Outcome: handshake.NoCommonAlgorithm, Err: none}},
			after(),
			Verdict{Telling: Connection, Reason: event.NoCommonAlgorithm, Detail: none.Error(), Penalized: true, Penalty: penalty.NoAuth},
		},
		"said nothing after keys": {End{Failure: notLoggedIn, Exchanged: true}, after(), paid(Login, event.LoginAbandoned, penalty.NoAuth)},
		"wrong password":          {End{Failure: notLoggedIn, Exchanged: true}, after(wrong), free(Nothing, "")},
		"too many wrong passwords": {
			End{Failure: noTriesLeft, Exchanged: true}, after(wrong, wrong), free(Login, event.MaxTriesReached),
		},
		"unknown key": {
			End{Failure: notLoggedIn, Exchanged: true}, after(key("a", event.KeyNotRegistered)), free(Login, event.KeyNotRegistered),
		},
		"the last of the keys says why": {
			End{Failure: notLoggedIn, Exchanged: true}, after(key("a", event.KeyNotRegistered), key("b", event.KeyExpired)), free(Login, event.KeyExpired),
		},
		"forged, among too many": {
			End{Failure: noTriesLeft, Exchanged: true}, after(key("a", event.KeyNotRegistered), key("a", event.BadSignature)), free(Login, event.BadSignature),
		},
		"half of the factors": {
			End{Failure: notLoggedIn, Exchanged: true, Partial: true}, after(), free(Login, event.NextFactorMissing),
		},
		"half of the factors, and its key again": {
			End{Failure: notLoggedIn, Exchanged: true, Partial: true}, after(key("a", event.KeyUsedBefore)), free(Login, event.NextFactorMissing),
		},
		"half of the factors, and a wrong password": {
			End{Failure: notLoggedIn, Exchanged: true, Partial: true}, after(wrong), free(Nothing, ""),
		},
	} {
		if got := Of(tc.end, tc.attempts); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestGather: keys are reported at the end, everything else at once; a certificate takes precedence over its bare key.
func TestGather(t *testing.T) {
	var a Attempts
	if a.Gather(wrong) || !a.Gather(key("a", event.KeyNotRegistered)) || !a.Gather(key("a", event.KeyUsedBefore)) {
		t.Error("what has a line of its own")
	}
	if a.Gather(auth.Refusal{Step: factor.PublicKey, Reason: event.AlgorithmRefused}) {
		t.Error("a refusal without a key waits")
	}
	certified := key("c", event.CertificateExpired)
	certified.Certificate = &auth.Certificate{KeyID: "id"}
	a.Gather(certified)
	a.Gather(key("c", event.KeyNotRegistered)) // the bare key
	if a.keyIssue != event.CertificateExpired || a.Certificate() != certified.Certificate {
		t.Errorf("%s, %v", a.keyIssue, a.Certificate())
	}
	eve := key("d", event.KeyNotRegistered)
	eve.Username = "eve"
	a.Gather(eve)
	if a.keyIssue != event.KeyNotRegistered || a.Certificate() != nil {
		t.Errorf("%s, %v", a.keyIssue, a.Certificate())
	}
	if want := []string{"ada", "eve"}; !reflect.DeepEqual(a.KeyUsers(), want) {
		t.Errorf("%v", a.KeyUsers())
	}
	for i := range 50 {
		a.Gather(key(strconv.Itoa(i), event.KeyNotRegistered))
	}
	if n := len(a.Keys()); n != maxKeysLogged {
		t.Errorf("%d keys", n)
	}
}

func TestCosts(t *testing.T) {
	for reason, costs := range map[event.Reason]bool{
		event.WrongPassword: true, event.PasswordQueueFull: false, event.CodeOlderThanServer: false,
	} {
		if Costs(auth.Refusal{Reason: reason}) != costs {
			t.Error(reason)
		}
	}
}
