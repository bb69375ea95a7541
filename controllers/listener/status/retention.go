package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// runs returns the reported runs of rules and volumes that the listener has: pods may run with a former spec. It returns nil
// if no pod was asked.
func (in Input) runs() []config.RetentionStatus {
	if in.Acks == nil {
		return nil
	}
	spec := in.Listener.Spec
	out := slices.DeleteFunc(slices.Clone(in.Acks.Retention), func(r config.RetentionStatus) bool {
		isRule := r.Rule == config.StaleUploads ||
			slices.ContainsFunc(spec.Retention.Rules, func(s v1alpha1.RetentionRule) bool { return s.Name == r.Rule })
		isVolume := slices.ContainsFunc(spec.Volumes, func(v v1alpha1.ListenerVolume) bool { return v.Name == r.Volume })
		return !isRule || !isVolume
	})
	slices.SortFunc(out, func(a, b config.RetentionStatus) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Volume, b.Volume))
	})
	return out
}

// retention returns the runs as the status has them.
func (in Input) retention() []v1alpha1.RetentionRun {
	var out []v1alpha1.RetentionRun
	count := func(n int64) *int64 { return new(max(n, 0)) }
	for _, r := range in.runs() {
		run := v1alpha1.RetentionRun{
			Rule: r.Rule, Volume: r.Volume, Files: count(r.Files), DueFiles: count(r.Due), DueBytes: count(r.DueBytes),
			DeletedFiles: count(r.Deleted), Message: retentionMessage(r),
		}
		if !r.LastRun.IsZero() {
			run.LastRunTime = new(metav1.NewTime(r.LastRun))
		}
		out = append(out, run)
	}
	return out
}

func retentionMessage(r config.RetentionStatus) string {
	var parts []string
	if r.Message != "" {
		parts = append(parts, r.Message)
	}
	for _, p := range []struct {
		n    int64
		text string
	}{
		{r.InUse, "%d files were open"}, {r.Failed, "%d files could not be deleted"}, {r.Skipped, "%d directories were skipped: held, mounted, unreadable or too deep"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf(p.text, p.n))
		}
	}
	return strings.Join(parts, "; ")
}

// retentionHalted returns the condition, nil if no rule is halted, and whether that is known.
func (in Input) retentionHalted() (c *metav1.Condition, known bool) {
	if in.Acks == nil || in.Acks.Ready == 0 {
		return nil, false
	}
	for _, r := range in.runs() {
		if r.Halted == "" {
			continue
		}
		reason, remedy := haltReason(r.Halted)
		what := "Retention rule " + r.Rule
		if r.Rule == config.StaleUploads {
			what = "The deletion of interrupted uploads"
		}
		return new(conditions.True(v1alpha1.ConditionRetentionHalted, reason,
			fmt.Sprintf("%s is halted on volume %q: %s; %s", what, r.Volume, cmp.Or(r.Message, string(r.Halted)), remedy))), true
	}
	return nil, true
}

func haltReason(h config.RetentionHalt) (reason, remedy string) {
	switch h {
	case config.HaltTooMany:
		return v1alpha1.ReasonRetentionTooMany, "check the rule, and raise its maxFiles or maxPercent if it is right"
	case config.HaltClock:
		return v1alpha1.ReasonRetentionClock, "it continues when the clock has been steady for a day"
	case config.HaltHold:
		return v1alpha1.ReasonRetentionHoldMissing, "correct the path in retention.holds, or remove the hold"
	case config.HaltIncomplete:
		return v1alpha1.ReasonRetentionIncomplete, "give rules a subPath"
	case config.HaltVolume:
	}
	return v1alpha1.ReasonRetentionVolume, "the pod's log says more"
}
