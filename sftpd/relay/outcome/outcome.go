// Package outcome decides what follows from one attempt to deliver an event: whether it is delivered, sent again and when,
// kept as a dead letter, or whether its sink is suspended. It is pure.
package outcome

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verdict is what happens to an event after an attempt.
type Verdict int

// The verdicts.
const (
	// Accepted: the receiver has it.
	Accepted Verdict = iota
	// Retry: it is sent again, with the same id.
	Retry
	// Dead: it is kept as a dead letter.
	Dead
	// Suspend: the receiver does not want any more events. The event waits until the sink's configuration changes.
	Suspend
)

// Times of retries.
const (
	// FirstPause is the shortest time between two attempts, and MaxPause bounds what grows.
	FirstPause = time.Second
	MaxPause   = 5 * time.Minute
	// MaxRetryAfter bounds the delay that a receiver may ask for.
	MaxRetryAfter = time.Hour
)

// Attempt is what is known after an attempt.
type Attempt struct {
	// Status of the answer, 0 if there was no answer.
	Status int
	// Failure is why there was no answer, in words that name no secret. It is used only if Status is 0.
	Failure string
	// RetryAfter is the header of that name (RFC 9110 section 10.2.3), "" for none.
	RetryAfter string
	// Number of attempts for the event so far, this one included.
	Number int
	// Accepting is set if the receiver has accepted another event since the first attempt for this one.
	Accepting bool
	// Happened is when the event happened, and MaxAge how long delivery is attempted, 0 for no limit.
	Happened time.Time
	MaxAge   time.Duration
	Now      time.Time
	// Random is uniform in [0, 1).
	Random float64
}

// Decision is what follows from an attempt.
type Decision struct {
	Verdict Verdict
	// After is how long to wait before the next attempt. It is used only for Retry.
	After time.Duration
	// ReceiverFailed is set if the reason concerns the receiver and not this event: then the other events also wait.
	ReceiverFailed bool
	// Reason is what happened, for a status and for a dead letter.
	Reason string
}

// Decide returns what follows from an attempt.
func Decide(a Attempt) Decision {
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return Decision{Verdict: Accepted}
	case http.StatusGone:
		return Decision{Verdict: Suspend, ReceiverFailed: true, Reason: text(a)}
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return a.retry()
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusForbidden, http.StatusNotFound:
		return a.misconfigured()
	}
	switch class := a.Status / 100; {
	case a.Status == 0, class == 5:
		return a.retry()
	case class == 3:
		return Decision{Verdict: Dead, Reason: text(a) + ", and redirects are not followed"}
	}
	return Decision{Verdict: Dead, Reason: text(a)}
}

// retry returns the decision to send an event again, unless it is too old.
func (a Attempt) retry() Decision {
	if a.MaxAge > 0 && a.Now.Sub(a.Happened) >= a.MaxAge {
		return Decision{Verdict: Dead, Reason: TooOld(a.MaxAge, text(a))}
	}
	asked := retryAfter(a.RetryAfter, a.Now)
	// If a single event makes the receiver crash, hang or become unavailable, the receiver may be fine for the others, which
	// must not wait for that one.
	only := a.Accepting && a.Number >= Tries
	return Decision{
		Verdict: Retry, After: max(Pause(a.Number, a.Random), asked), Reason: text(a),
		ReceiverFailed: a.Status == http.StatusTooManyRequests || !only && (a.Status == 0 || asked > 0),
	}
}

// Tries is how often a receiver may refuse an event while it accepts others before the relay concludes that it does not want this
// one.
const Tries = 3

// misconfigured decides on answers that say more about how the sink or the receiver is set up than about the event: a wrong or
// expired token, a path where nothing is served yet. Such events wait until that is corrected, rather than all becoming dead
// letters. Web application firewalls inspect requests, and answer 403 to an odd file name. Therefore an event that is refused
// while others are accepted becomes a dead letter after all, so that a client cannot stop its own events for a day. A 401 is
// never about the event: one of several instances may have a different token.
func (a Attempt) misconfigured() Decision {
	credential := a.Status == http.StatusUnauthorized || a.Status == http.StatusProxyAuthRequired
	if !credential && a.Accepting && a.Number >= Tries {
		return Decision{Verdict: Dead, Reason: text(a)}
	}
	d := a.retry()
	d.ReceiverFailed = d.Verdict == Retry && (d.ReceiverFailed || credential)
	return d
}

// TooOld returns the reason of a dead letter that could not be delivered in time.
func TooOld(maxAge time.Duration, last string) string {
	return fmt.Sprintf("it could not be delivered within %s: %s", maxAge, last)
}

// Blocking returns the reason of a dead letter that left no room for the events of other users.
func Blocking(last string) string {
	return "the receiver accepts other events, for which there was no longer room: " + last
}

// Pause returns how long to wait after a number of attempts in a row that failed: a random time between FirstPause and one
// that doubles up to MaxPause ("full jitter"), so that events that failed together are not sent together again.
func Pause(attempts int, random float64) time.Duration {
	most := MaxPause
	if attempts < 10 { // 2^9 s is more than MaxPause
		most = min(FirstPause<<max(attempts, 1), MaxPause)
	}
	return FirstPause + time.Duration(random*float64(most-FirstPause))
}

// retryAfter returns how long a receiver asks to wait, at most MaxRetryAfter; 0 if it does not ask, or if the value is invalid.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// text describes the outcome of an attempt. The reason phrase is Go's, not the receiver's.
func text(a Attempt) string {
	if a.Status == 0 {
		return a.Failure
	}
	said := strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", a.Status, http.StatusText(a.Status)))
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		said += "; correct the sink's authentication, or the permissions at the receiver"
	case http.StatusNotFound:
		said += "; correct the sink's URL or path, or the receiver"
	}
	return said
}
