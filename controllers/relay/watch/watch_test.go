package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

const key = "0123456789abcdef0123456789abcdef"

// relayServer answers as a relay does, with what answer makes of the request.
func relayServer(t *testing.T, answer func(nonce string) (int, []byte)) Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonce := r.Header.Get(events.NonceHeader)
		if !events.Proven(r.Header.Get(events.ProofHeader), []byte(key), nonce, r.Method, r.URL.RequestURI(), nil) {
			t.Error("the request is not proven")
		}
		code, body := answer(nonce)
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return Target{Address: strings.TrimPrefix(s.URL, "http://"), Key: key}
}

func sealed(t *testing.T, with, nonce string, body []byte) []byte {
	t.Helper()
	out, err := events.Seal([]byte(with), nonce, body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An answer counts only if it is sealed with the key for this request, and its size is bounded.
func TestAsk(t *testing.T) {
	good, _ := json.Marshal(delivery.Status{Pods: 2, Sinks: []delivery.SinkStatus{{Name: "jobs", Pending: 3}}})
	for name, c := range map[string]struct {
		answer func(nonce string) (int, []byte)
		want   string
	}{
		"good":              {func(n string) (int, []byte) { return 200, sealed(t, key, n, good) }, ""},
		"not sealed":        {func(string) (int, []byte) { return 200, good }, "its answer is not sealed with the listener's key"},
		"another key":       {func(n string) (int, []byte) { return 200, sealed(t, strings.Repeat("x", 32), n, good) }, "its answer is not sealed"},
		"another request's": {func(string) (int, []byte) { return 200, sealed(t, key, "0123456789abcdefghij", good) }, "its answer is not sealed"},
		"not JSON":          {func(n string) (int, []byte) { return 200, sealed(t, key, n, []byte("{")) }, "its answer cannot be read"},
		"unauthorized":      {func(string) (int, []byte) { return 401, nil }, "it answered with HTTP status 401"},
		"a redirect":        {func(string) (int, []byte) { return 302, nil }, "it answered with HTTP status 302"},
		"long":              {func(string) (int, []byte) { return 200, bytes.Repeat([]byte("x"), 1<<20) }, "its answer has more than 65536 bytes"},
	} {
		st, err := NewHTTPStatusClient().Status(t.Context(), relayServer(t, c.answer))
		if c.want == "" && (err != nil || st.Pods != 2 || st.Sinks[0].Pending != 3) {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
		if c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := NewHTTPStatusClient().Status(t.Context(), Target{Address: "127.0.0.1:1", Key: key})
	if err == nil || err.Error() != "dial: connection refused" {
		t.Errorf("no one there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	hangs := relayServer(t, func(string) (int, []byte) { time.Sleep(time.Second); return 200, nil })
	if _, err := NewHTTPStatusClient().Status(ctx, hangs); err == nil || err.Error() != "it does not answer in time" {
		t.Errorf("one that hangs: %v", err)
	}
}

type asker func(t Target) (delivery.Status, error)

func (a asker) Status(_ context.Context, t Target) (delivery.Status, error) { return a(t) }

// The reconciler is woken for news, not for each answer; a few unanswered requests mean nothing, and a panic ends nothing.
func TestWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var woken, asked atomic.Int64
		var says atomic.Pointer[func() (delivery.Status, error)]
		say := func(f func() (delivery.Status, error)) { says.Store(&f) }
		say(func() (delivery.Status, error) { return delivery.Status{}, errors.New("dial: connection refused") })
		w := &Watcher{
			Wake:         func(types.NamespacedName) { woken.Add(1) },
			StatusClient: asker(func(Target) (delivery.Status, error) { asked.Add(1); return (*says.Load())() }),
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = w.Start(ctx) }()
		name := types.NamespacedName{Namespace: "ns", Name: "l"}
		w.Set(name, &Target{UID: "u", Address: "a", Key: key})
		time.Sleep(2500 * time.Millisecond)
		if got := w.Get(name, "u"); got.Known || woken.Load() != 0 {
			t.Errorf("after two requests: %+v, woken %d times", got, woken.Load())
		}
		time.Sleep(5 * time.Second)
		if got := w.Get(name, "u"); !got.Known || got.Failure != "dial: connection refused" || woken.Load() != 1 {
			t.Errorf("after some: %+v, woken %d times", got, woken.Load())
		}
		say(func() (delivery.Status, error) { return delivery.Status{Pods: 1}, nil })
		time.Sleep(10 * time.Minute)
		if got := w.Get(name, "u"); got.Failure != "" || got.Status.Pods != 1 || woken.Load() != 2 || asked.Load() > 40 {
			t.Errorf("%+v, woken %d times, asked %d times", got, woken.Load(), asked.Load())
		}
		say(func() (delivery.Status, error) { panic("hunter2") })
		time.Sleep(10 * time.Minute)
		if got := w.Get(name, "u"); got.Failure != "internal error of the operator" {
			t.Errorf("%+v", got)
		}
		if got := w.Get(name, "other"); got.Known {
			t.Error("another listener of the name has the answer")
		}
		w.Set(name, nil)
		before := asked.Load()
		time.Sleep(time.Hour)
		if asked.Load() != before || w.Get(name, "u").Known {
			t.Error("a relay that is gone is asked")
		}
	})
}

// A thousand relays of one namespace that hang do not delay the request to another's.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Watcher{Wake: func(types.NamespacedName) {}, StatusClient: asker(func(t Target) (delivery.Status, error) {
			if t.Address == "hangs" {
				time.Sleep(requestTimeout)
				return delivery.Status{}, context.DeadlineExceeded
			}
			return delivery.Status{Pods: 1}, nil
		})}
		for i := range 1000 {
			w.Set(types.NamespacedName{Namespace: "hostile", Name: strconv.Itoa(i)}, &Target{UID: "u", Address: "hangs", Key: key})
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer time.Sleep(requestTimeout) // until the requests in progress have ended
		defer cancel()
		go func() { _ = w.Start(ctx) }()
		time.Sleep(requestTimeout) // the hostile namespace has all that it may have
		name := types.NamespacedName{Namespace: "other", Name: "l"}
		w.Set(name, &Target{UID: "u", Address: "answers", Key: key})
		time.Sleep(soon)
		if got := w.Get(name, "u"); got.Status.Pods != 1 {
			t.Errorf("not asked within %s: %+v", soon, got)
		}
	})
}
