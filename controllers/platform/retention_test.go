package platform

import (
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A rule that breaks a bound only reports, whatever else is delivered.
func TestRetentionBounds(t *testing.T) {
	rule := func(name string, mode v1alpha1.RetentionMode, after int64) v1alpha1.RetentionRule {
		return v1alpha1.RetentionRule{Name: name, Mode: mode, DeleteAfterSeconds: after}
	}
	l := &v1alpha1.SFTPListener{}
	l.Spec.Retention.Rules = []v1alpha1.RetentionRule{rule("soon", v1alpha1.RetentionEnforce, 3600), rule("late", v1alpha1.RetentionEnforce, 864000), rule("open", "", 864000)}
	for name, c := range map[string]struct {
		policy string
		modes  string
		fields string
	}{
		"none":    {"", "Enforce,Enforce,", ""},
		"reports": {"bounds: {retentionModes: [Report]}", "Report,Report,", "spec.retention.rules[soon].mode spec.retention.rules[late].mode"},
		"time":    {"bounds: {retentionMinSeconds: 86400}", "Report,Enforce,", "spec.retention.rules[soon].deleteAfterSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(c.policy))
			if err != nil {
				t.Fatal(err)
			}
			d := p.Decide(l, time.Time{})
			var modes, fields []string
			for _, r := range d.Listener.Spec.Retention.Rules {
				modes = append(modes, string(r.Mode))
			}
			for _, v := range d.Violations {
				fields = append(fields, v.Field)
			}
			if strings.Join(modes, ",") != c.modes || strings.Join(fields, " ") != c.fields {
				t.Errorf("modes %q, fields %q", modes, fields)
			}
			if l.Spec.Retention.Rules[0].Mode != v1alpha1.RetentionEnforce {
				t.Error("the listener itself was changed")
			}
		})
	}
	for _, bad := range []string{"bounds: {retentionModes: [Delete]}", "bounds: {retentionMinSeconds: 0}", "bounds: {retentionMinSeconds: 9223372036854775807}"} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
