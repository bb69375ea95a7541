package report

import (
	"fmt"
	"strings"
)

// Labels of the servers that the targets are about.
const (
	ours    = "sftpd"
	openSSH = "OpenSSH"
	sftpGo  = "SFTPGo"
)

// NewerOpenSSH is the label of an OpenSSH that is newer than that of the system.
const NewerOpenSSH = "OpenSSH-10"

// target is a bound of the ratio to other servers, or of the value itself.
type target struct {
	title, workload, metric string
	// openSSH, newer and sftpGo bound the ratios; 0 is none.
	openSSH, newer, sftpGo float64
	// absolute bounds the value; 0 is none.
	absolute float64
}

var targets = []target{
	{title: "download aes128-gcm, CPU", workload: "raw-aes128-gcm-32k-down", metric: CPUPerGiB, openSSH: 0.65, sftpGo: 0.45},
	{title: "upload aes128-gcm, CPU", workload: "raw-aes128-gcm-32k-up", metric: CPUPerGiB, openSSH: 0.80, newer: 0.65, sftpGo: 0.52},
	{title: "OpenSSH's client, default ciphers, get, CPU", workload: "sftp-default-get", metric: CPUPerGiB, openSSH: 0.55, sftpGo: 0.22},
	{title: "OpenSSH's client, default ciphers, put, CPU", workload: "sftp-default-put", metric: CPUPerGiB, openSSH: 0.75, sftpGo: 0.32},
	{title: "OpenSSH's client, chacha20 only, get, CPU", workload: "sftp-chacha20-poly1305-get", metric: CPUPerGiB, openSSH: 1.3, sftpGo: 0.75},
	{title: "OpenSSH's client, chacha20 only, put, CPU", workload: "sftp-chacha20-poly1305-put", metric: CPUPerGiB, openSSH: 1.3, sftpGo: 0.75},
	{title: "16 sessions, up, CPU", workload: "parallel-16-up", metric: CPUPerGiB, openSSH: 0.40, sftpGo: 0.50},
	{title: "16 sessions, down, CPU", workload: "parallel-16-down", metric: CPUPerGiB, openSSH: 0.62, sftpGo: 0.52},
	{title: "64 sessions, up, CPU", workload: "parallel-64-up", metric: CPUPerGiB, openSSH: 0.40, sftpGo: 0.50},
	{title: "64 sessions, down, CPU", workload: "parallel-64-down", metric: CPUPerGiB, openSSH: 0.62, sftpGo: 0.52},
	{title: "files of 4 KiB, 16 sessions, put, CPU", workload: "files-16-put", metric: CPUPerFile, openSSH: 0.40, newer: 0.45, sftpGo: 0.48},
	{title: "files of 4 KiB, 16 sessions, get, CPU", workload: "files-16-get", metric: CPUPerFile, openSSH: 0.40, sftpGo: 0.48},
	{title: "files of 4 KiB, one session, put, files/s", workload: "files-1-put", metric: FilesPerS, openSSH: 1.2, sftpGo: 1.6},
	{title: "files of 4 KiB, one session, get, files/s", workload: "files-1-get", metric: FilesPerS, openSSH: 1.5, sftpGo: 1.8},
	{title: "listing, CPU", workload: "list", metric: CPUPerEntry, openSSH: 0.5, sftpGo: 0.45},
	{title: "listing, replies", workload: "list", metric: Replies, absolute: 40},
	{title: "login with a key, curve25519, CPU", workload: "login-curve25519", metric: CPUPerLogin, openSSH: 0.05, sftpGo: 0.8},
	{title: "login with a key, mlkem768x25519, CPU", workload: "login-mlkem768x25519", metric: CPUPerLogin, openSSH: 0.05, sftpGo: 0.8},
	{title: "1,000 idle sessions, PSS of one", workload: "idle-1000", metric: PSSPerSession, openSSH: 0.035, sftpGo: 0.5, absolute: 60},
	{title: "single stream, down, MiB/s", workload: "raw-aes128-gcm-32k-down", metric: MiBPerSecond, openSSH: 1.1, sftpGo: 1.4},
	{title: "single stream, up, MiB/s", workload: "raw-aes128-gcm-32k-up", metric: MiBPerSecond, openSSH: 1.1, sftpGo: 1.5},
}

// TargetWorkloads returns the identifiers of the workloads that have targets.
func TargetWorkloads() []string {
	ids := make([]string, len(targets))
	for i, t := range targets {
		ids[i] = t.workload
	}
	return ids
}

// TargetTable compares the runs with the targets, ratio by ratio.
func TargetTable(runs []Run) string {
	var b strings.Builder
	b.WriteString("| | target: OpenSSH | measured | target: " + NewerOpenSSH + " | measured | target: SFTPGo | measured | target: value | measured |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, t := range targets {
		fmt.Fprintf(&b, "| %s |%s |%s |%s |%s |\n", t.title,
			t.cells(t.openSSH, runs, func(r Run) (float64, bool) { return r.ratio(t.workload, ours, label(r, openSSH), t.metric) }),
			t.cells(t.newer, runs, func(r Run) (float64, bool) { return r.ratio(t.workload, ours, label(r, NewerOpenSSH), t.metric) }),
			t.cells(t.sftpGo, runs, func(r Run) (float64, bool) { return r.ratio(t.workload, ours, label(r, sftpGo), t.metric) }),
			t.cells(t.absolute, runs, func(r Run) (float64, bool) {
				v := r.values(t.workload, ours, t.metric)
				if len(v) == 0 {
					return 0, false
				}
				return Median(v), true
			}))
	}
	return b.String()
}

// label returns how a run spells a label.
func label(r Run, name string) string {
	for _, l := range r.Labels {
		if strings.EqualFold(l, name) {
			return l
		}
	}
	return name
}

// cells returns the cells of a bound and of each run's value.
func (t target) cells(bound float64, runs []Run, measured func(Run) (float64, bool)) string {
	if bound == 0 {
		return " | "
	}
	sign := "≤"
	if t.higher() {
		sign = "≥"
	}
	words := make([]string, 0, len(runs))
	met, known := true, false
	for _, r := range runs {
		value, ok := measured(r)
		if !ok {
			words = append(words, "n/a")
			continue
		}
		known = true
		met = met && t.meets(value, bound)
		words = append(words, number(value, 3))
	}
	verdict := ""
	switch {
	case !known:
	case met:
		verdict = " met"
	default:
		verdict = " **missed**"
	}
	return fmt.Sprintf(" %s %s | %s%s", sign, number(bound, 3), strings.Join(words, ", "), verdict)
}

func (t target) higher() bool {
	for _, m := range Metrics {
		if m.Name == t.metric {
			return m.Higher
		}
	}
	return false
}

func (t target) meets(value, bound float64) bool {
	if t.higher() {
		return value >= bound
	}
	return value <= bound
}
