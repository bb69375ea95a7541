package ack

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// asked asks a server that gives one kind of answer.
func asked(t *testing.T, answer http.HandlerFunc) (Answer, error) {
	t.Helper()
	return NewHTTPStatusClient().Status(t.Context(), answering(t, answer), both)
}

const status = `{"digest":"d2","users":3,"rejectedUIDs":["u"],"version":"v2","newField":1}`

func TestAsk(t *testing.T) {
	for name, key := range map[string]string{"the current key": current, "the previous key": previous} {
		t.Run(name, func(t *testing.T) {
			got, err := asked(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.String() != "/configz" || !config.ValidNonce(r.Header.Get(config.NonceHeader)) || r.Header.Get(config.ProofHeader) != "" {
					http.NotFound(w, r)
					return
				}
				proven(key, "a", status)(w, r)
			})
			if err != nil || got.Digest != "d2" || got.Users != 3 || len(got.RejectedUIDs) != 1 || got.Key != key {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// An answer without proof that it comes from this pod, for this request, is discarded.
func TestUnprovenAnswers(t *testing.T) {
	var first atomic.Value // the nonce of the first request
	for name, answer := range map[string]http.HandlerFunc{
		"no proof":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(status)) },
		"a foreign key":  proven(foreign, "a", status),
		"no key":         proven("", "a", status),
		"of another pod": proven(current, "b", status),
		"another context": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(config.ProofHeader, config.KeyUseProof(current, r.Header.Get(config.NonceHeader), "a", config.KeyUseQuestion{}))
			_, _ = w.Write([]byte(status))
		},
		"a changed body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(config.ProofHeader, config.StatusProof(current, r.Header.Get(config.NonceHeader), "a", []byte(status)))
			_, _ = w.Write([]byte(strings.Replace(status, "d2", "d3", 1)))
		},
		"a proof without its end": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(config.ProofHeader, config.StatusProof(current, r.Header.Get(config.NonceHeader), "a", []byte(status))[1:])
			_, _ = w.Write([]byte(status))
		},
		"an answer to an earlier request": func(w http.ResponseWriter, r *http.Request) {
			first.CompareAndSwap(nil, r.Header.Get(config.NonceHeader))
			nonce, _ := first.Load().(string)
			w.Header().Set(config.ProofHeader, config.StatusProof(current, nonce, "a", []byte(status)))
			_, _ = w.Write([]byte(status))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, asker := answering(t, answer), NewHTTPStatusClient()
			var err error
			for range 2 { // the first request of the replay is answered correctly
				_, err = asker.Status(t.Context(), p, both)
			}
			if !errors.Is(err, ErrUnproven) {
				t.Errorf("error %v", err)
			}
			if _, err := asker.Status(t.Context(), p, Keys{}); !errors.Is(err, ErrUnproven) {
				t.Errorf("without keys: %v", err)
			}
		})
	}
}

// Whatever listens on a pod's address may send anything.
func TestAskDoubtsTheAnswer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"an error":           func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusServiceUnavailable) },
		"no JSON":            proven(current, "a", "hello"),
		"a JSON that is cut": proven(current, "a", status[:20]),
		"an answer that is cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			proven(current, "a", status)(w, r)
		},
		"a redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.9:8081/other", http.StatusFound)
		},
		"an answer that is too long": proven(current, "a", `{"digest":"d2"}`+strings.Repeat(" ", config.MaxStatusSize)),
		"an endless answer": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(strings.Repeat(" ", 1<<16)))
			}
		},
		"one byte a second": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		},
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a header without end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if got, err := asked(t, answer); err == nil || got.Digest != "" {
				t.Errorf("%s was believed: %+v", name, got)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s took %s", name, took)
			}
		})
	}
	p := readyPod("a")
	p.Status.PodIP = "127.0.0.9"
	if _, err := NewHTTPStatusClient().Status(t.Context(), p, both); err == nil {
		t.Error("no server answers, but there is no error")
	}
}

// If one of the listener's own pods sends 60 MiB, this costs little memory, whatever was asked: the pod has the key, so its
// answer can be valid however long it is.
func TestLargeAnswers(t *testing.T) {
	const size = 60 << 20
	known := Known{Keys: 400_000, User: func(string) bool { return true }, Key: func(string, string) bool { return true }}
	part := []byte(strings.Repeat("{},", 10_000))
	long := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"instance":"i","uses":[`)
		for n := 0; n < size; n += len(part) {
			_, _ = w.Write(part)
		}
	})
	asker := NewHTTPStatusClient()
	for what, ask := range map[string]func() error{
		"status": func() error { _, err := asker.Status(t.Context(), long, both); return err },
		"keys": func() error {
			_, err := asker.KeyUse(t.Context(), long, current, known, config.KeyUseReport{})
			return err
		},
	} {
		if grown, err := growth(ask); err == nil || !strings.Contains(err.Error(), "longer than") || grown > 16<<20 {
			t.Errorf("%s: the heap grew by %d KiB, %v", what, grown>>10, err)
		} else {
			t.Logf("%s: the heap grew by %d KiB", what, grown>>10)
		}
	}
}

// The longest answer that is read also costs little memory.
func TestLongestReport(t *testing.T) {
	known := Known{Keys: 400_000, Key: func(string, string) bool { return true }}
	room := maxReport(config.MaxKeyUses) - len(`{"uses":[{}]}`)
	p := answering(t, sealed(t, current, "a", []byte(`{"uses":[`+strings.Repeat("{},", room/3)+`{}]}`)))
	grown, err := growth(func() error {
		_, err := NewHTTPStatusClient().KeyUse(t.Context(), p, current, known, config.KeyUseReport{})
		return err
	})
	if !errors.Is(err, errTooMany) || grown > 16<<20 {
		t.Errorf("the heap grew by %d KiB, %v", grown>>10, err)
	}
}

// growth returns an upper bound of the heap's growth while a function ran: all bytes allocated, as if none had been freed.
func growth(f func() error) (uint64, error) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err := f()
	runtime.ReadMemStats(&now)
	return now.TotalAlloc - before.TotalAlloc, err
}

// Only some of several large answers are in memory at the same time, and one that waits for its turn ends with its context.
func TestLargeAnswersTakeTurns(t *testing.T) {
	for range largeAnswers {
		large <- struct{}{}
	}
	p := answering(t, sealed(t, current, "a", []byte(`{"instance":"`+strings.Repeat("i", smallAnswer)+`"}`)))
	began := time.Now()
	_, err := NewHTTPStatusClient().KeyUse(t.Context(), p, current, Known{}, config.KeyUseReport{})
	if err == nil || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	for range largeAnswers {
		<-large
	}
	if _, err := NewHTTPStatusClient().KeyUse(t.Context(), p, current, Known{}, config.KeyUseReport{}); err == nil || !strings.Contains(err.Error(), "instance is too long") {
		t.Errorf("%v, want that it was read", err)
	}
	if len(large) != 0 {
		t.Errorf("%d places are still taken", len(large))
	}
}
