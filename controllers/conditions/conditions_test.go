package conditions

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSet(t *testing.T) {
	before := metav1.NewTime(time.Now().Add(-time.Hour))
	list := []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: before, ObservedGeneration: 1},
		{Type: "Foreign", Status: metav1.ConditionTrue, Reason: "Other", LastTransitionTime: before},
	}
	if Set(&list, 1, True("Ready", "Ready", "")) {
		t.Error("nothing differs, but it says that something changed")
	}
	if !Set(&list, 2, True("Ready", "Ready", "")) || list[0].ObservedGeneration != 2 {
		t.Error("the generation changed")
	}
	if !Set(&list, 2, True("Ready", "Ready", "still")) || !list[0].LastTransitionTime.Equal(&before) {
		t.Error("the message changed, and not the transition time")
	}
	if !Set(&list, 2, False("Ready", "SecretNotFound", "no")) || list[0].LastTransitionTime.Equal(&before) {
		t.Error("the status changed, and the transition time with it")
	}
	if !Set(&list, 2, True("Programmed", "Yes", ""), False("Ready", "Other", "no")) || list[0].Reason != "Other" || !IsTrue(list, "Programmed") {
		t.Errorf("%v: every condition must be set", list)
	}
	if len(list) != 3 || list[1].Reason != "Other" {
		t.Errorf("%v: conditions of others must stay", list)
	}
	if IsTrue(list, "Ready") || !IsTrue(list, "Foreign") || IsTrue(list, "None") {
		t.Error("IsTrue is wrong")
	}
	if c := Unknown("A", "Pending", "m"); c.Status != metav1.ConditionUnknown || c.Type != "A" || c.Reason != "Pending" || c.Message != "m" {
		t.Errorf("Unknown gives %v", c)
	}
}

func TestLongMessageIsCut(t *testing.T) {
	got := False("Ready", "X", strings.Repeat("a", 5000)).Message
	if len(got) != 1024 || !strings.HasSuffix(got, "a...") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-4:])
	}
	if long := strings.Repeat("a", 1024); False("Ready", "X", long).Message != long {
		t.Error("a message that fits is cut")
	}
	// A cut in the middle of a character would not be valid UTF-8, and the API server would refuse it.
	if got := False("Ready", "X", strings.Repeat("é", 2000)+"x").Message; !utf8.ValidString(got) || len(got) > 1024 {
		t.Errorf("%d bytes, valid UTF-8: %v", len(got), utf8.ValidString(got))
	}
	if got := False("Ready", "X", "a"+strings.Repeat("é", 2000)).Message; !utf8.ValidString(got) || len(got) > 1024 {
		t.Errorf("%d bytes, valid UTF-8: %v", len(got), utf8.ValidString(got))
	}
}
