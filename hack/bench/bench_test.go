package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/bench/client"
	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

func plain(t *testing.T, s sizes) *bench {
	t.Helper()
	return newBench(&servers.Place{Dir: t.TempDir()}, []*servers.Server{{Label: "a"}, {Label: "b"}}, s, io.Discard)
}

// TestPlan: workloads have unique identifiers, every workload with a target is measured, and the default for profiles matches some.
func TestPlan(t *testing.T) {
	s := full
	s.stream = mib // the plan is the same
	planned := map[string]int{}
	profiled := regexp.MustCompile(profiledIDs)
	matches := 0
	for _, g := range plain(t, s).plan() {
		for _, w := range g.workloads {
			planned[w.id]++
			if profiled.MatchString(w.id) {
				matches++
			}
			if w.run == nil || w.title == "" {
				t.Errorf("%s cannot run", w.id)
			}
		}
	}
	for id, n := range planned {
		if n > 1 {
			t.Errorf("%s is listed %d times", id, n)
		}
	}
	for _, id := range report.TargetWorkloads() {
		if planned[id] == 0 {
			t.Errorf("%s has a target but is not measured", id)
		}
	}
	if matches != 12 {
		t.Errorf("%d workloads are profiled", matches)
	}
}

// TestRounds: servers take turns, the first round does not count, and a server that fails is not run again.
func TestRounds(t *testing.T) {
	b := plain(t, sizes{rounds: 2, stream: mib})
	var order []string
	w := workload{id: "w", run: func(_ context.Context, s *servers.Server) (values, error) {
		order = append(order, s.Label)
		return values{"m": float64(len(order))}, nil
	}}
	result, err := b.rounds(t.Context(), w)
	if err != nil || strings.Join(order, "") != "ababab" {
		t.Fatalf("%q, %v", order, err)
	}
	if got := result.Cells[1].Values["m"]; len(got) != 2 || got[0] != 4 || got[1] != 6 {
		t.Errorf("%v", got)
	}
	for want, failure := range map[string]error{"n/a": client.ErrUnsupported, "failed": errors.New("broken")} {
		order = nil
		w.run = func(_ context.Context, s *servers.Server) (values, error) {
			order = append(order, s.Label)
			if s.Label == "a" {
				return nil, failure
			}
			return values{"m": 1}, nil
		}
		result, err = b.rounds(t.Context(), w)
		if err != nil || strings.Join(order, "") != "abbb" || result.Cells[0].Note != want || len(result.Cells[1].Values["m"]) != 2 {
			t.Errorf("%s: %q, %+v, %v", want, order, result.Cells, err)
		}
	}
	if len(b.failures) != 1 {
		t.Errorf("failures: %v", b.failures)
	}
}

func TestUsage(t *testing.T) {
	u := usage{cpu: time.Second, wall: 2 * time.Second, calls: 1000}
	v := u.ofSessions(gib / 2)
	if v[report.CPUPerGiB] != 2 || v[report.MiBPerSecond] != 256 || v[report.CallsPerGiB] != 2000 {
		t.Errorf("%v", v)
	}
	if v := u.ofFiles(100); v[report.CPUPerFile] != 10_000 || v[report.FilesPerS] != 50 {
		t.Errorf("%v", v)
	}
}

// TestShares: together they make up the content, whose digest is checked.
func TestShares(t *testing.T) {
	b := plain(t, sizes{stream: mib})
	var all []byte
	for i := range 64 {
		all = append(all, b.share(b.content, i, 64)...)
	}
	if !bytes.Equal(all, b.content) || sha256.Sum256(all) != b.digest {
		t.Error("not the content")
	}
	for _, s := range []sizes{full, quick} {
		if s.stream%64 != 0 {
			t.Errorf("%d bytes cannot be shared by 64", s.stream)
		}
	}
}

func TestParseCount(t *testing.T) {
	const text = "# started on Mon\n\n18345,,raw_syscalls:sys_enter,1000,100.00,,\n"
	if n, err := parseCount(text); n != 18345 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "# nothing\n", "<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"} {
		if _, err := parseCount(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
