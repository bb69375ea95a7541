package command

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const dueLog = `{"rule":"old","volume":"data","path":"team/ada/a.csv","size":7,"uploaded":"2026-10-01T00:00:00Z"}
{"rule":"old","volume":"data","path":"team/ada/b\u001b[31m.csv","size":8,"uploaded":"2026-10-02T00:00:00Z"}
{"rule":"old","volume":"data","files":9,"due":5,"dueBytes":40,"halted":"TooMany","message":"in 2 directories"}
sftpd retention: volume scratch is not there
{"rule":"stale-uploads","volume":"data","files":0,"due":0,"dueBytes":0}
`

func TestPrintDue(t *testing.T) {
	lines, other := dueLines(dueLog)
	if len(lines) != 4 || other != "sftpd retention: volume scratch is not there" {
		t.Fatalf("%d lines, %q", len(lines), other)
	}
	var out, messages strings.Builder
	p := &plugin{Terminal: Terminal{Out: &out, Err: &messages}}
	if err := p.printDue(lines); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "2026-10-01T00:00:00Z   7       team/ada/a.csv") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	want := "old on volume data: 5 of 9 files are due, with 40 bytes; 2 of them are listed; in 2 directories\n" +
		"stale-uploads on volume data: 0 of 0 files are due, with 0 bytes\n"
	if got := messages.String(); got != want {
		t.Errorf("%q", got)
	}
}

func TestPrintRuns(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "old", Mode: v1alpha1.RetentionReport}, {Name: "new", Mode: v1alpha1.RetentionEnforce}}
	l.Status.Retention = []v1alpha1.RetentionRun{
		{Rule: "old", Volume: "data", Files: new(int64(9)), DueFiles: new(int64(5)), DueBytes: new(int64(40)), DeletedFiles: new(int64(0))},
		{Rule: "stale-uploads", Volume: "data", Message: "first run on this volume"},
	}
	var out strings.Builder
	p := &plugin{Terminal: Terminal{Out: &out}}
	if err := p.printRuns(l); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"RULE VOLUME MODE LAST RUN FILES DUE BYTES DELETED NOTE", "old data Report - 9 5 40 0 -",
		"stale-uploads data Enforce - - - - - first run on this volume", "new - Enforce - - - - - has not run yet",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
}
