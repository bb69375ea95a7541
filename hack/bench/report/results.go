// Package report turns measurements into tables, a chart, and the verdict on the targets.
package report

import (
	"slices"
	"time"
)

// File is the machine-readable result: the last run, plus another one of the same kind, for the spread between runs.
type File struct {
	Runs []Run `json:"runs"`
}

// Run is what one run measured.
type Run struct {
	Started     time.Time   `json:"started"`
	Quick       bool        `json:"quick,omitempty"`
	Rounds      int         `json:"rounds"`
	Environment Environment `json:"environment"`
	// Servers by label: each server's own name. The order is that of Labels.
	Servers map[string]string `json:"servers"`
	Labels  []string          `json:"labels"`
	// Workloads in the order in which they ran.
	Workloads []Workload `json:"workloads"`
}

// Workload has the results of one kind of work.
type Workload struct {
	ID    string `json:"id"`
	Group string `json:"group"`
	Title string `json:"title"`
	Cells []Cell `json:"cells"`
}

// Cell has the results of one server.
type Cell struct {
	Server string `json:"server"`
	// Values of each round by the name of the metric.
	Values map[string][]float64 `json:"values,omitempty"`
	// Note says why there are no values.
	Note string `json:"note,omitempty"`
}

// Metric is a measured quantity.
type Metric struct {
	Name, Title string
	// Digits after the decimal point.
	Digits int
	// Higher values are better.
	Higher bool
}

// Names of the metrics.
const (
	CPUPerGiB     = "cpu_s_per_gib"
	MiBPerSecond  = "mib_per_s"
	CallsPerGiB   = "calls_per_gib"
	CPUPerFile    = "cpu_us_per_file"
	FilesPerS     = "files_per_s"
	CPUPerEntry   = "cpu_us_per_entry"
	Replies       = "replies"
	CPUPerLogin   = "cpu_ms_per_login"
	PSSPerSession = "pss_kib_per_session"
	PSSTotal      = "pss_mib"
	Processes     = "processes"
)

// Metrics are all metrics, in table order.
var Metrics = []Metric{
	{Name: CPUPerGiB, Title: "CPU s/GiB", Digits: 2},
	{Name: MiBPerSecond, Title: "MiB/s", Higher: true},
	{Name: CallsPerGiB, Title: "read and write calls/GiB"},
	{Name: CPUPerFile, Title: "CPU µs/file"},
	{Name: FilesPerS, Title: "files/s", Higher: true},
	{Name: CPUPerEntry, Title: "CPU µs/entry", Digits: 2},
	{Name: Replies, Title: "replies"},
	{Name: CPUPerLogin, Title: "CPU ms/login", Digits: 2},
	{Name: PSSPerSession, Title: "PSS KiB/session", Digits: 1},
	{Name: PSSTotal, Title: "PSS MiB, all", Digits: 1},
	{Name: Processes, Title: "processes"},
}

// Median returns the median of values, which must not be empty.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// values returns a server's values, or nil if there are none.
func (r Run) values(workload, server, metric string) []float64 {
	for _, w := range r.Workloads {
		if w.ID == workload {
			return w.cell(server).Values[metric]
		}
	}
	return nil
}

func (w Workload) cell(server string) Cell {
	for _, c := range w.Cells {
		if c.Server == server {
			return c
		}
	}
	return Cell{}
}

// ratio returns the ratio of a server's median to another's.
func (r Run) ratio(workload, server, other, metric string) (float64, bool) {
	a, b := r.values(workload, server, metric), r.values(workload, other, metric)
	if len(a) == 0 || len(b) == 0 || Median(b) == 0 {
		return 0, false
	}
	return Median(a) / Median(b), true
}
