package relay

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// If the name server is down, one line a minute is logged, although the pods are looked up every few seconds.
func TestFailedLookupsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := &Relay{Options: Options{Log: slog.New(slog.NewTextHandler(&out, nil))}}
		for range 121 { // ten minutes
			r.lookupFailed(errors.New("server misbehaving"))
			time.Sleep(5 * time.Second)
		}
		if n := bytes.Count(out.Bytes(), []byte("misbehaving")); n != 11 {
			t.Errorf("%d lines:\n%s", n, out.Bytes())
		}
	})
}
