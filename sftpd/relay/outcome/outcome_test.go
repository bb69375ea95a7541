package outcome

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		of   Attempt
		want Decision
	}{
		"200": {Attempt{Status: 200}, Decision{}},
		"201": {Attempt{Status: 201}, Decision{}},
		"202": {Attempt{Status: 202}, Decision{}},
		"204": {Attempt{Status: 204}, Decision{}},
		"206": {Attempt{Status: 206}, Decision{Verdict: Dead, Reason: "the receiver answered 206 Partial Content"}},
		"301": {Attempt{Status: 301}, Decision{Verdict: Dead, Reason: "the receiver answered 301 Moved Permanently, and redirects are not followed"}},
		"307": {Attempt{Status: 307}, Decision{Verdict: Dead, Reason: "the receiver answered 307 Temporary Redirect, and redirects are not followed"}},
		"400": {Attempt{Status: 400}, Decision{Verdict: Dead, Reason: "the receiver answered 400 Bad Request"}},
		"401": {
			Attempt{Status: 401, Number: 9, Accepting: true},
			Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "the receiver answered 401 Unauthorized; correct the sink's authentication, or the permissions at the receiver"},
		},
		"401 for a day": {
			Attempt{Status: 401, Number: 9, Happened: now.Add(-day), MaxAge: day},
			Decision{Verdict: Dead, Reason: "it could not be delivered within 24h0m0s: the receiver answered 401 Unauthorized; correct the sink's authentication, or the permissions at the receiver"},
		},
		"407": {Attempt{Status: 407, Number: 1}, Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "the receiver answered 407 Proxy Authentication Required"}},
		"403": {
			Attempt{Status: 403, Number: 9},
			Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 403 Forbidden; correct the sink's authentication, or the permissions at the receiver"},
		},
		"403, while others are accepted": {
			Attempt{Status: 403, Number: 2, Accepting: true},
			Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 403 Forbidden; correct the sink's authentication, or the permissions at the receiver"},
		},
		"403, three times while others are accepted": {
			Attempt{Status: 403, Number: 3, Accepting: true},
			Decision{Verdict: Dead, Reason: "the receiver answered 403 Forbidden; correct the sink's authentication, or the permissions at the receiver"},
		},
		"404": {
			Attempt{Status: 404, Number: 9, RetryAfter: "60"},
			Decision{Verdict: Retry, After: time.Minute, ReceiverFailed: true, Reason: "the receiver answered 404 Not Found; correct the sink's URL or path, or the receiver"},
		},
		"415": {Attempt{Status: 415}, Decision{Verdict: Dead, Reason: "the receiver answered 415 Unsupported Media Type"}},
		"410": {Attempt{Status: 410}, Decision{Verdict: Suspend, ReceiverFailed: true, Reason: "the receiver answered 410 Gone"}},
		"999": {Attempt{Status: 999}, Decision{Verdict: Dead, Reason: "the receiver answered 999"}},
		"408": {Attempt{Status: 408, Number: 1}, Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 408 Request Timeout"}},
		"425": {Attempt{Status: 425, Number: 1}, Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 425 Too Early"}},
		"500": {Attempt{Status: 500, Number: 3, Random: 0.5}, Decision{Verdict: Retry, After: 4500 * time.Millisecond, Reason: "the receiver answered 500 Internal Server Error"}},
		"503, later": {
			Attempt{Status: 503, Number: 1, RetryAfter: "120"},
			Decision{Verdict: Retry, After: 2 * time.Minute, ReceiverFailed: true, Reason: "the receiver answered 503 Service Unavailable"},
		},
		"429": {Attempt{Status: 429, Number: 1}, Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"}},
		"429, at a time": {
			Attempt{Status: 429, Number: 1, RetryAfter: now.Add(90 * time.Second).Format(http.TimeFormat)},
			Decision{Verdict: Retry, After: 90 * time.Second, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"},
		},
		"429, with blanks": {
			Attempt{Status: 429, Number: 1, RetryAfter: " 120\t"},
			Decision{Verdict: Retry, After: 2 * time.Minute, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"},
		},
		"503, in the past": {
			Attempt{Status: 503, Number: 1, RetryAfter: now.Add(-time.Hour).Format(http.TimeFormat)},
			Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 503 Service Unavailable"},
		},
		"503, nonsense": {
			Attempt{Status: 503, Number: 1, RetryAfter: "soon"},
			Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 503 Service Unavailable"},
		},
		"too old after a nanosecond": {
			Attempt{Status: 500, Number: 1, Happened: now.Add(-1), MaxAge: 1},
			Decision{Verdict: Dead, Reason: "it could not be delivered within 1ns: the receiver answered 500 Internal Server Error"},
		},
		"429, in a year": {
			Attempt{Status: 429, Number: 1, RetryAfter: "31536000"},
			Decision{Verdict: Retry, After: time.Hour, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"},
		},
		"429, nonsense": {
			Attempt{Status: 429, Number: 1, RetryAfter: "-1; soon"},
			Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"},
		},
		"no answer": {
			Attempt{Failure: "connection refused", Number: 40, Random: 0.999999999},
			Decision{Verdict: Retry, After: 5 * time.Minute, ReceiverFailed: true, Reason: "connection refused"},
		},
		"no answer, while others are accepted": {
			Attempt{Failure: "EOF", Number: 2, Accepting: true},
			Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "EOF"},
		},
		"no answer, three times while others are accepted": {
			Attempt{Failure: "EOF", Number: 3, Accepting: true},
			Decision{Verdict: Retry, After: time.Second, Reason: "EOF"},
		},
		"503, later, three times while others are accepted": {
			Attempt{Status: 503, RetryAfter: "120", Number: 3, Accepting: true},
			Decision{Verdict: Retry, After: 2 * time.Minute, Reason: "the receiver answered 503 Service Unavailable"},
		},
		"429, three times while others are accepted": {
			Attempt{Status: 429, Number: 3, Accepting: true},
			Decision{Verdict: Retry, After: time.Second, ReceiverFailed: true, Reason: "the receiver answered 429 Too Many Requests"},
		},
		"too old": {
			Attempt{Status: 500, Number: 300, Happened: now.Add(-day), MaxAge: day},
			Decision{Verdict: Dead, Reason: "it could not be delivered within 24h0m0s: the receiver answered 500 Internal Server Error"},
		},
		"old, and accepted": {Attempt{Status: 200, Number: 300, Happened: now.Add(-2 * day), MaxAge: day}, Decision{}},
		"nearly too old":    {Attempt{Status: 500, Number: 1, Happened: now.Add(-day + 1), MaxAge: day}, Decision{Verdict: Retry, After: time.Second, Reason: "the receiver answered 500 Internal Server Error"}},
	} {
		c.of.Now = now
		got := Decide(c.of)
		got.After = got.After.Round(time.Millisecond)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A pause is never shorter than FirstPause or longer than MaxPause, and its bound doubles.
func TestPause(t *testing.T) {
	most := time.Duration(0)
	for n := -1; n < 100; n++ {
		low, high := Pause(n, 0), Pause(n, 1)
		if low != FirstPause || high > MaxPause || high < most {
			t.Errorf("after %d attempts: %s to %s, before at most %s", n, low, high, most)
		}
		most = high
	}
	if Pause(1, 1) != 2*time.Second || Pause(4, 1) != 16*time.Second || most != MaxPause {
		t.Errorf("%s, %s, %s", Pause(1, 1), Pause(4, 1), most)
	}
}

// Whatever a receiver answers, the decision is one of the four, its pause is bounded, and no part of the header is quoted.
func FuzzDecide(f *testing.F) {
	f.Add(429, "120", 1)
	f.Add(503, now.Format(http.TimeFormat), 3)
	f.Add(0, "secret", -4)
	f.Fuzz(func(t *testing.T, status int, header string, number int) {
		d := Decide(Attempt{Status: status, RetryAfter: header, Number: number, Now: now, Random: 0.5})
		if d.Verdict < Accepted || d.Verdict > Suspend || d.After < 0 || d.After > MaxRetryAfter {
			t.Errorf("%+v", d)
		}
		if len(header) > 8 && strings.Contains(d.Reason, header) {
			t.Errorf("%q quotes the header", d.Reason)
		}
	})
}
