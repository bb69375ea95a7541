package config

import (
	"strings"
	"testing"
	"time"
)

func TestValidateRetention(t *testing.T) {
	rule := func(change func(*RetentionRule)) Retention {
		r := RetentionRule{Name: "old", RetentionDirectory: RetentionDirectory{Volume: "data", Scope: RetentionOfUsers}, DeleteAfterSeconds: 3600, Mode: RetentionReport}
		change(&r)
		return Retention{Rules: []RetentionRule{r}}
	}
	twice := rule(func(*RetentionRule) {})
	twice.Rules = append(twice.Rules, twice.Rules[0])
	for name, c := range map[string]struct {
		retention Retention
		want      string
	}{
		"none":              {Retention{}, ""},
		"the least":         {rule(func(*RetentionRule) {}), ""},
		"twice":             {twice, "duplicate retention rule"},
		"built in":          {rule(func(r *RetentionRule) { r.Name = StaleUploads }), "not valid"},
		"no volume":         {rule(func(r *RetentionRule) { r.Volume = "other" }), `no volume "other"`},
		"another scope":     {rule(func(r *RetentionRule) { r.Scope = "Pod" }), `scope "Pod"`},
		"upward":            {rule(func(r *RetentionRule) { r.SubPath = "../x" }), "subPath"},
		"absolute":          {rule(func(r *RetentionRule) { r.SubPath = "/x" }), "subPath"},
		"another mode":      {rule(func(r *RetentionRule) { r.Mode = "" }), "mode"},
		"too soon":          {rule(func(r *RetentionRule) { r.DeleteAfterSeconds = 3599 }), "deleteAfterSeconds"},
		"an overflow":       {rule(func(r *RetentionRule) { r.DeleteAfterSeconds = 1 << 62 }), "deleteAfterSeconds"},
		"negative":          {rule(func(r *RetentionRule) { r.MaxFiles = -1 }), "maxFiles"},
		"more than all":     {rule(func(r *RetentionRule) { r.MaxPercent = 101 }), "maxPercent"},
		"many kept":         {rule(func(r *RetentionRule) { r.KeepNewest = MaxKeepNewest + 1 }), "keepNewest"},
		"no pattern":        {rule(func(r *RetentionRule) { r.Match = []string{""} }), "pattern"},
		"many patterns":     {rule(func(r *RetentionRule) { r.Match = make([]string, maxPatterns+1) }), "patterns"},
		"a hold":            {Retention{Holds: []RetentionHold{{Name: "a", Volume: "data", Path: "x/y"}}}, ""},
		"a hold outside":    {Retention{Holds: []RetentionHold{{Name: "a", Volume: "data", Path: "x/../../y"}}}, "relative and clean"},
		"a hold elsewhere":  {Retention{Holds: []RetentionHold{{Name: "a", Volume: "other"}}}, `no volume "other"`},
		"too often":         {Retention{IntervalSeconds: 1}, "intervalSeconds"},
		"leftovers at once": {Retention{StaleUploadSeconds: 1}, "staleUploadSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Listener{Volumes: []Volume{{Name: "data", Path: "/data"}}, Retention: c.retention}.validateRetention()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if r := (Retention{}); r.Interval() != 24*time.Hour || r.StaleUploads() != 7*24*time.Hour {
		t.Errorf("defaults %s, %s", r.Interval(), r.StaleUploads())
	}
}
