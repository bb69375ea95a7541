package status

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func TestRetention(t *testing.T) {
	at := time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)
	run := func(rule, volume string, halt config.RetentionHalt) config.RetentionStatus {
		return config.RetentionStatus{Rule: rule, Volume: volume, LastRun: at, Files: 9, Due: 5, DueBytes: -1, Deleted: 4, InUse: 1, Halted: halt, Message: "m"}
	}
	was := []metav1.Condition{{Type: v1alpha1.ConditionRetentionHalted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonRetentionClock}}
	for _, c := range []struct {
		name   string
		acks   *ack.Result
		before []metav1.Condition
		runs   string // rule/volume
		reason string
	}{
		{name: "no pod was asked", before: was, reason: v1alpha1.ReasonRetentionClock},
		{name: "no pod is ready", acks: &ack.Result{}, before: was, reason: v1alpha1.ReasonRetentionClock},
		{name: "all is well again", acks: &ack.Result{Ready: 1, Retention: []config.RetentionStatus{run("old", "data", "")}}, before: was, runs: "old/data"},
		{name: "halted", acks: &ack.Result{Ready: 1, Retention: []config.RetentionStatus{run("stale-uploads", "data", ""), run("old", "data", config.HaltTooMany)}}, runs: "old/data stale-uploads/data", reason: v1alpha1.ReasonRetentionTooMany},
		{name: "what the listener does not have", acks: &ack.Result{Ready: 1, Retention: []config.RetentionStatus{run("gone", "data", config.HaltClock), run("old", "other", config.HaltClock)}}},
		{name: "a halt that is not known", acks: &ack.Result{Ready: 1, Retention: []config.RetentionStatus{run("old", "data", "Other")}}, runs: "old/data", reason: v1alpha1.ReasonRetentionVolume},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &v1alpha1.SFTPListener{}
			l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "data", EmptyDir: &v1alpha1.EmptyDirVolume{}}}
			l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "old"}}
			l.Status.Conditions = c.before
			st := Build(Input{Listener: l, Acks: c.acks, Now: at})
			var runs []string
			for _, r := range st.Retention {
				runs = append(runs, r.Rule+"/"+r.Volume)
				if *r.DueBytes != 0 || *r.DeletedFiles != 4 || !r.LastRunTime.Time.Equal(at) || r.Message != "m; 1 files were open" {
					t.Errorf("%+v", r)
				}
			}
			if strings.Join(runs, " ") != c.runs {
				t.Errorf("runs %q", runs)
			}
			got := ""
			if cond := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionRetentionHalted); cond != nil {
				got = cond.Reason
				if cond.Status != metav1.ConditionTrue {
					t.Errorf("%+v", cond)
				}
			}
			if got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
		})
	}
}
