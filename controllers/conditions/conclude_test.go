package conditions

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// Each reason in the API has a class, and no other text has one.
func TestEveryReasonHasAClass(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Reason") {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			reasons[text] = true
			if _, ok := classes[text]; !ok {
				t.Errorf("%s has no class: decide what it means to those who wait", text)
			}
		}
		return true
	})
	for text := range classes {
		if !reasons[text] {
			t.Errorf("%s is not a reason", text)
		}
	}
}

// text returns the conditions from Conclude as type/reason.
func text(list []metav1.Condition) string {
	var out []string
	for _, c := range list {
		switch c.Type {
		case "Ready", "Reconciling", "Stalled", "Inactive":
			out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
		}
	}
	return strings.Join(out, " ")
}

func TestConclude(t *testing.T) {
	list := func(c ...metav1.Condition) []metav1.Condition { return c }
	for name, tc := range map[string]struct {
		list []metav1.Condition
		want string
	}{
		"well":            {list(True("Ready", "Ready", "")), "Ready=True/Ready"},
		"not looked at":   {list(Unknown("Ready", "Pending", "")), "Ready=Unknown/Pending Reconciling=True/Pending"},
		"suspended":       {list(False("Accepted", "Suspended", ""), False("Ready", "Suspended", "")), "Inactive=True/Suspended"},
		"being suspended": {list(False("Accepted", "Suspended", ""), False("Ready", "Removing", "")), "Ready=False/Removing Reconciling=True/Removing"},
		"a mistake":       {list(False("Ready", "InvalidPublicKey", "")), "Ready=False/InvalidPublicKey Stalled=True/InvalidPublicKey"},
		"a missing name":  {list(False("Ready", "SecretNotFound", "")), "Ready=False/SecretNotFound Reconciling=True/SecretNotFound"},
		"unheard of":      {list(False("Ready", "News", "")), "Ready=False/News Reconciling=True/News"},
		"rolling out":     {list(True("Ready", "Ready", ""), False("RolledOut", "RollingOut", "")), "Ready=True/Ready Reconciling=True/RollingOut"},
		"queued":          {list(True("Ready", "Ready", ""), False("RolledOut", "RolloutQueued", "")), "Ready=True/Ready"},
		"refused":         {list(True("Ready", "Ready", ""), False("ObjectsApplied", "ApplyFailed", "")), "Ready=True/Ready Stalled=True/ApplyFailed"},
		"the worst counts": {
			list(False("Ready", "PodsUnavailable", ""), False("RolledOut", "RolloutStalled", "")),
			"Ready=False/PodsUnavailable Stalled=True/RolloutStalled",
		},
		"without replicas, and refused": {
			list(False("Ready", "ScaledToZero", ""), False("ObjectsApplied", "ApplyFailed", "")),
			"Inactive=True/ScaledToZero Stalled=True/ApplyFailed",
		},
		"a key that cannot be rotated": {list(True("Ready", "RotationBlocked", "")), "Ready=True/RotationBlocked Reconciling=True/RotationBlocked"},
	} {
		if Conclude(&tc.list, Conclusion{Generation: 1, Now: noon}); text(tc.list) != tc.want {
			t.Errorf("%s: %s, want %s", name, text(tc.list), tc.want)
		}
	}
}

// A waiting condition becomes stalled after its time, which restarts with a change to the spec or of the class; nothing is left
// when it is over.
func TestDeadlines(t *testing.T) {
	const slack = time.Minute
	var list []metav1.Condition
	for _, step := range []struct {
		at         time.Duration
		generation int64
		reason     string
		want       string
		deadline   time.Duration // since noon, 0 for none
	}{
		{0, 1, "SecretNotFound", "Reconciling=True/SecretNotFound", 2 * time.Minute},
		{time.Minute, 1, "KeyNotFound", "Reconciling=True/KeyNotFound", 2 * time.Minute},
		{2 * time.Minute, 1, "KeyNotFound", "Stalled=True/KeyNotFound", 0},
		{3 * time.Minute, 1, "KeyNotFound", "Stalled=True/KeyNotFound", 0},
		{3 * time.Minute, 2, "KeyNotFound", "Reconciling=True/KeyNotFound", 5 * time.Minute},
		{4 * time.Minute, 2, "ConfigPending", "Reconciling=True/ConfigPending", 15 * time.Minute},
		{14 * time.Minute, 2, "PodsUnavailable", "Reconciling=True/PodsUnavailable", 15 * time.Minute},
		{15 * time.Minute, 2, "PodsUnavailable", "Stalled=True/PodsUnavailable", 0},
		{16 * time.Minute, 2, "ConfigPending", "Reconciling=True/ConfigPending", 27 * time.Minute},
		{17 * time.Minute, 2, "Ready", "", 0},
		{18 * time.Minute, 2, "ConfigPending", "Reconciling=True/ConfigPending", 29 * time.Minute},
		{20 * time.Minute, 2, "RollingOut", "Reconciling=True/RollingOut", 0},
		{99 * time.Minute, 2, "RollingOut", "Reconciling=True/RollingOut", 0},
	} {
		status := False("Ready", step.reason, "m")
		if step.reason == "Ready" {
			status.Status = metav1.ConditionTrue
		}
		Set(&list, step.generation, status)
		Conclude(&list, Conclusion{Generation: step.generation, Now: noon.Add(step.at), Slack: slack})
		_, got, _ := strings.Cut(text(list), " ")
		if got != step.want {
			t.Errorf("after %s: %s, want %s", step.at, got, step.want)
		}
		var want time.Time
		if step.deadline > 0 {
			want = noon.Add(step.deadline)
		}
		if d := Deadline(list, slack); !d.Equal(want) {
			t.Errorf("after %s: the deadline is %s, want %s", step.at, d, want)
		}
		before := append([]metav1.Condition(nil), list...)
		if Conclude(&list, Conclusion{Generation: step.generation, Now: noon.Add(step.at), Slack: slack}); fmt.Sprint(list) != fmt.Sprint(before) {
			t.Errorf("after %s a second look changes\n%v to\n%v", step.at, before, list)
		}
	}
}

func TestEventType(t *testing.T) {
	of := func(c metav1.Condition) *metav1.Condition { return &c }
	ready, pending := of(True("Ready", "Ready", "")), of(False("Ready", "ConfigPending", ""))
	for _, tc := range []struct {
		was, is *metav1.Condition
		want    string
	}{
		{nil, nil, ""},
		{nil, of(Unknown("Ready", "Pending", "")), ""},
		{nil, ready, "Normal"},
		{nil, pending, ""},
		{of(False("Ready", "PodsUnavailable", "")), pending, ""},
		{ready, ready, ""},
		{ready, nil, ""},
		{ready, pending, "Normal"},
		{pending, ready, "Normal"},
		{ready, of(False("Ready", "PodsUnavailable", "")), "Warning"},
		{pending, of(False("Ready", "PodsUnavailable", "")), "Normal"},
		{nil, of(False("Ready", "UsernameConflict", "")), "Warning"},
		{pending, of(False("Ready", "InvalidPassword", "")), "Warning"},
		{ready, of(False("Ready", "Removing", "")), "Normal"},
		{ready, of(True("Inactive", "Suspended", "")), "Normal"},
		{of(True("Inactive", "Suspended", "")), of(True("Inactive", "Expired", "")), "Normal"},
		{ready, of(True("Ready", "RotationBlocked", "")), "Warning"},
	} {
		if got := EventType(tc.was, tc.is); got != tc.want {
			t.Errorf("%v, then %v: %q, want %q", tc.was, tc.is, got, tc.want)
		}
	}
}
