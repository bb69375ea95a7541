package user

import (
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestSentence(t *testing.T) {
	u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}
	u.Spec.ListenerRef.Name = "partners"
	many := []string{"a/x", "b/x", "c/x", "d/x", "e/x", "files/partners", "team/own"}
	for want, names := range map[string][]string{
		`No listener admits namespace "team"`:                                                       nil,
		`Listeners that admit namespace "team": a/x`:                                                {"a/x"},
		`Listeners that admit namespace "team": t/p`:                                                {"t/p"},
		`Listeners that admit namespace "team": a/x, b/x`:                                           {"a/x", "b/x"},
		`Listeners that admit namespace "team": files/partners, team/own, a/x, b/x, c/x and 2 more`: many,
	} {
		if got := sentence(u, names); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if many[0] != "a/x" {
		t.Error("the list of others was sorted")
	}
}

// The remembered listeners are bounded in age and number.
func TestSuggestions(t *testing.T) {
	var s suggestions
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for i := range 1000 {
		s.set(strconv.Itoa(i), []string{"a/b"}, now)
	}
	if names, ok := s.get("7", now.Add(suggestionTTL-1)); !ok || len(names) != 1 {
		t.Errorf("%v, %t", names, ok)
	}
	if _, ok := s.get("7", now.Add(suggestionTTL)); ok || len(s.of) != 0 {
		t.Errorf("%d are remembered", len(s.of))
	}
}
