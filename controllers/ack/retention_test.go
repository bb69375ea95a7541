package ack

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Of several pods' reports about a rule on a volume, the latest counts; and what a pod reports is bounded.
func TestAddRetention(t *testing.T) {
	at := time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)
	report := func(rule string, after time.Duration, halt config.RetentionHalt) config.RetentionStatus {
		return config.RetentionStatus{Rule: rule, Volume: "data", LastRun: at.Add(after), Halted: halt}
	}
	var r Result
	r.addRetention([]config.RetentionStatus{report("a", 1, ""), report("b", 2, "")})
	r.addRetention([]config.RetentionStatus{report("a", 2, ""), report("b", 1, config.HaltClock)})
	r.addRetention([]config.RetentionStatus{report("a", 2, config.HaltVolume), {Rule: "b", Volume: "data", Halted: config.HaltVolume}})
	r.addRetention([]config.RetentionStatus{report("a", 2, "")})
	if len(r.Retention) != 2 || r.Retention[0].Halted != config.HaltVolume || r.Retention[1] != report("b", 2, "") {
		t.Errorf("%+v", r.Retention)
	}
	var many []config.RetentionStatus
	for i := range 1000 {
		many = append(many, config.RetentionStatus{Rule: strconv.Itoa(i), Message: strings.Repeat("\xff", 5000)})
	}
	r.addRetention(many)
	r.addRetention(many[500:])
	if len(r.Retention) != maxRuns || len(r.Retention[5].Message) > 2*maxReason {
		t.Errorf("%d runs, a message of %d bytes", len(r.Retention), len(r.Retention[5].Message))
	}
}
