package ack

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// maxRuns bounds the runs of retention that a pod may report: each rule on its volume, and the built-in rule on each.
const maxRuns = config.MaxRetentionRules + maxVolumes

// addRetention adds what a pod reports. Pods that share a volume report the same runs, or some of them older ones.
func (r *Result) addRetention(reported []config.RetentionStatus) {
	for _, run := range reported[:min(len(reported), maxRuns)] {
		run.Message = clip(run.Message)
		at := slices.IndexFunc(r.Retention, func(o config.RetentionStatus) bool { return o.Rule == run.Rule && o.Volume == run.Volume })
		switch {
		case at < 0 && len(r.Retention) < maxRuns:
			r.Retention = append(r.Retention, run)
		case at >= 0 && newer(run, r.Retention[at]):
			r.Retention[at] = run
		}
	}
}

// newer reports whether run a should be shown instead of b: the later one or, if both have the same time, the one that was
// halted.
func newer(a, b config.RetentionStatus) bool {
	if !a.LastRun.Equal(b.LastRun) {
		return a.LastRun.After(b.LastRun)
	}
	return a.Halted != "" && b.Halted == ""
}

func sameRun(a, b config.RetentionStatus) bool {
	same := a.LastRun.Equal(b.LastRun)
	a.LastRun = b.LastRun
	return same && a == b
}
