package entry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestMetrics(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		registry := prometheus.NewRegistry()
		w.metrics = newMetrics(registry, func() int { return 3 }, w.hashesWaiting)
		w.put("a", "p", "password", "hunter2")
		w.put("a", "bad", "password", "hunter2")
		w.fault(func(_ context.Context, name types.NamespacedName) error {
			if name.Name == "bad" {
				return errors.New("out of order")
			}
			return nil
		})
		w.get(passwordRef("a", "bad"))
		w.settled(passwordRef("a", "p"), 100*time.Millisecond)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range families {
			for _, m := range f.Metric {
				got = append(got, fmt.Sprint(f.GetName(), m.Label, m.GetCounter().GetValue()+m.GetGauge().GetValue()))
			}
		}
		want := []string{
			"sftp_operator_password_hash_seconds_total[] 0.02",
			`sftp_operator_secret_queue_length[name:"stage" value:"hash"] 0`, `sftp_operator_secret_queue_length[name:"stage" value:"read"] 3`,
			`sftp_operator_secret_reads_total[name:"result" value:"error"] 1`, `sftp_operator_secret_reads_total[name:"result" value:"ok"] 1`,
		}
		// The text of a label has one or two spaces, depending on its library.
		if text := strings.ReplaceAll(strings.Join(got, "\n"), "  ", " "); text != strings.Join(want, "\n") {
			t.Errorf("%s", text)
		}
	})
}

// hashesWaiting is the number of queued hashes.
func (w *world) hashesWaiting() int { return w.Reader.hashes.Len() }

// Only the API server's own explanation of an error is reported, up to a limit.
func TestFailureText(t *testing.T) {
	for want, err := range map[string]error{
		`secrets "p" is forbidden: no`:                    fmt.Errorf("get: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "p", errors.New("no"))),
		"the API server did not answer in time":           fmt.Errorf("get: %w", context.DeadlineExceeded),
		"the API server cannot be reached":                &net.OpError{Op: "dial", Err: errors.New("hunter2")},
		"the answer of the API server cannot be used":     errors.New("cannot decode hunter2"),
		"a b" + strings.Repeat("x", maxFailure-3) + "...": apierrors.NewBadRequest("a\nb" + strings.Repeat("x", 1000)),
	} {
		if got := failureText(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
