package ack

import (
	"errors"
	"math"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const wanted = "d2"

// summarize combines answers, which carry the current key unless they specify one.
func summarize(outcomes map[string]*Outcome, pods ...*corev1.Pod) Result {
	for _, o := range outcomes {
		if o != nil && o.Key == "" {
			o.Key = current
		}
	}
	return Summarize(Sorted(pods), func(p *corev1.Pod) *Outcome { return outcomes[p.Name] }, wanted, both, ours)
}

func says(s config.Status) *Outcome { return &Outcome{Answer: Answer{Status: s}} }

func TestSummarize(t *testing.T) {
	r := summarize(map[string]*Outcome{
		"a": says(config.Status{Digest: wanted, RejectedUIDs: []string{"u", "foreign"}, Sessions: new(2)}),
		"b": says(config.Status{Digest: wanted, Sessions: new(3)}),
		"c": says(config.Status{Digest: "not ready, so not asked"}),
	}, readyPod("b"), readyPod("a"), pod("c", corev1.ConditionFalse))
	if !r.Done() || r.Ready != 2 || r.Acknowledged != 2 || len(r.Behind) > 0 || *r.Sessions != 5 || r.Refused+r.Unreachable+r.Unproven != "" || r.Digest != wanted {
		t.Errorf("%+v", r)
	}
	if len(r.Rejected) != 1 || !r.Rejected["u"] {
		t.Errorf("rejected %v, want of the listener's users only", r.Rejected)
	}
	if r := summarize(nil); r.Done() || r.Ready != 0 {
		t.Errorf("no pods, but %+v", r)
	}
}

// Pods report about receipts one by one; one that issues none is left out, and what they say is bounded.
func TestReceipts(t *testing.T) {
	r := summarize(map[string]*Outcome{
		"a": says(config.Status{Digest: wanted, Receipts: &config.ReceiptsStatus{NotDurable: "no locks"}}),
		"b": says(config.Status{Digest: wanted}),
		"c": says(config.Status{Digest: "old", Receipts: &config.ReceiptsStatus{Failing: strings.Repeat("\xff", 5000), NotRemoved: strings.Repeat("\xff", 5000)}}),
		"d": {Err: errors.New("i/o timeout"), Answer: Answer{Status: config.Status{Receipts: &config.ReceiptsStatus{}}}},
	}, readyPod("a"), readyPod("b"), readyPod("c"), readyPod("d"))
	if len(r.Receipts) != 2 || r.Receipts[0] != (Receipts{"a", config.ReceiptsStatus{NotDurable: "no locks"}}) || r.Receipts[1].Pod != "c" {
		t.Fatalf("%+v", r.Receipts)
	}
	for _, s := range []string{r.Receipts[1].Failing, r.Receipts[1].NotRemoved} {
		if s == "" || len(s) > 2*maxReason || !utf8.ValidString(s) {
			t.Errorf("%d bytes", len(s))
		}
	}
}

// Reports of pods that do not have the configuration, and which of several pods is named.
func TestPodsThatAreBehind(t *testing.T) {
	long := strings.Repeat("ä", 10_000)
	for name, tc := range map[string]struct {
		outcome                        *Outcome
		refused, unreachable, unproved string
	}{
		"not asked yet":        {outcome: nil},
		"an older one":         {outcome: says(config.Status{Digest: "d1"})},
		"refused":              {says(config.Status{Digest: "d1", FailedDigest: wanted, Error: "no host key"}), "pod a: no host key", "", ""},
		"refused an older one": {outcome: says(config.Status{Digest: "d1", FailedDigest: "d0", Error: "no host key"})},
		"refused at length":    {says(config.Status{FailedDigest: wanted, Error: long}), "pod a: " + long[:maxReason] + "…", "", ""},
		"not reached":          {&Outcome{Err: errors.New("connection refused")}, "", "pod a: connection refused", ""},
		"not reached by a port of ours": {
			&Outcome{Err: &net.OpError{Op: "read", Source: &net.TCPAddr{Port: 40001}, Err: errors.New("i/o timeout")}}, "", "pod a: read: i/o timeout", "",
		},
		"not proven": {&Outcome{Err: ErrUnproven}, "", "", "pod a: it does not prove that it holds the listener's configuration"},
		"proven with the key of the past": {
			&Outcome{Answer: Answer{Status: config.Status{Digest: wanted}, Key: previous}}, "", "", "pod a: it does not prove that it holds the listener's configuration",
		},
		"an older one with the key of the past": {outcome: &Outcome{Answer: Answer{Status: config.Status{Digest: "d1"}, Key: previous}}},
	} {
		r := summarize(map[string]*Outcome{"a": tc.outcome, "b": says(config.Status{Digest: wanted})}, readyPod("a"), readyPod("b"))
		if r.Done() || r.Ready != 2 || r.Acknowledged != 1 || !slices.Equal(r.Behind, []string{"a"}) || r.Sessions != nil {
			t.Errorf("%s: %+v", name, r)
		}
		if r.Refused != tc.refused || r.Unreachable != tc.unreachable || r.Unproven != tc.unproved || !utf8.ValidString(r.Refused) {
			t.Errorf("%s: refused %q, unreachable %q, unproven %q", name, r.Refused, r.Unreachable, r.Unproven)
		}
	}
}

// The fields of an answer that has an error are ignored.
func TestErrorsSayNothing(t *testing.T) {
	o := says(config.Status{Digest: wanted, Sessions: new(7), Volumes: []config.VolumeStatus{{Name: "v"}}, RejectedUIDs: []string{"u"}})
	o.Err = errors.New("cut")
	if r := summarize(map[string]*Outcome{"a": o}, readyPod("a")); r.Acknowledged != 0 || r.Sessions != nil || len(r.Volumes)+len(r.Rejected) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestNumbersThatCannotBe(t *testing.T) {
	r := summarize(map[string]*Outcome{
		"a": says(config.Status{Digest: wanted, Sessions: new(math.MaxInt), Volumes: make([]config.VolumeStatus, 1000)}),
		"b": says(config.Status{Digest: wanted, Sessions: new(math.MaxInt)}),
		"c": says(config.Status{Digest: wanted, Sessions: new(-5)}),
	}, readyPod("a"), readyPod("b"), readyPod("c"))
	if *r.Sessions != math.MaxInt32 || len(r.Volumes) != maxVolumes {
		t.Errorf("%d sessions, %d volumes", *r.Sessions, len(r.Volumes))
	}
}

// The result does not depend on the order in which pods are listed, or on the number of sessions.
func TestSame(t *testing.T) {
	said := func(sessions int, volume string) *Outcome {
		return says(config.Status{Digest: wanted, Sessions: &sessions, Volumes: []config.VolumeStatus{{Name: volume}}})
	}
	silent := &Outcome{Err: errors.New("i/o timeout")}
	a := map[string]*Outcome{"a": said(1, "x"), "b": said(2, "y"), "silent-1": silent, "silent-2": silent}
	pods := []*corev1.Pod{readyPod("b"), readyPod("silent-2"), readyPod("a"), readyPod("silent-1")}
	first := summarize(a, pods...)
	slices.Reverse(pods)
	a["a"] = said(7, "x")
	if again := summarize(a, pods...); !again.Same(first) || !first.Same(again) {
		t.Errorf("%+v, before %+v", again, first)
	}
	a["a"] = said(7, "z")
	if other := summarize(a, pods...); other.Same(first) {
		t.Errorf("%+v is the same as %+v", other, first)
	}
}

// Every field makes a difference, except the number of sessions.
func TestSameLooksAtAllFields(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	others := map[string]any{
		"Digest": "d", "Ready": 1, "Acknowledged": 1, "Loaded": []string{"d"}, "Behind": []string{"a"}, "Late": map[string]time.Time{"a": at}, "Began": at, "Completed": at,
		"Sessions": new(int32(1)), "Volumes": []Volume{{Pod: "a"}}, "Retention": []config.RetentionStatus{{Rule: "r"}}, "Receipts": []Receipts{{Pod: "a"}}, "Rejected": map[string]bool{"u": true}, "Refused": "r", "Unreachable": "u", "Unproven": "p",
	}
	kind := reflect.TypeFor[Result]()
	for i := range kind.NumField() {
		name := kind.Field(i).Name
		if others[name] == nil {
			t.Fatalf("no other %s to compare", name)
		}
		var r Result
		reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(others[name]))
		if same := r.Same(Result{}); same != (name == "Sessions") || (Result{}).Same(r) != same || !r.Same(r) {
			t.Errorf("with another %s: same is %v", name, same)
		}
	}
	if !(Result{Began: at}).Same(Result{Began: at.Local()}) {
		t.Error("the same time in another zone is another time")
	}
}
