package render

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestEventSinksOf(t *testing.T) {
	const red = "selector: {matchLabels: {team: red}}"
	for name, c := range map[string]struct {
		users, want string
	}{
		"none":            {"[]", ""},
		"a name":          {"[{name: ada}]", ""}, // the relay chooses
		"a namespace":     {"[{namespace: team}]", ""},
		"labels":          {"[{" + red + "}]", "jobs"},
		"other labels":    {"[{selector: {matchLabels: {team: blue}}}]", ""},
		"their namespace": {"[{namespace: team, " + red + "}]", "jobs"},
		// A tenant cannot label itself into another tenant's receiver.
		"another namespace":               {"[{namespace: other, " + red + "}]", ""},
		"expressions":                     {"[{selector: {matchExpressions: [{key: team, operator: In, values: [blue, red]}, {key: old, operator: DoesNotExist}]}}]", "jobs"},
		"an expression that does not fit": {"[{selector: {matchLabels: {team: red}, matchExpressions: [{key: team, operator: NotIn, values: [red]}]}}]", ""},
		"a name next to labels":           {"[{name: ada}, {namespace: other, " + red + "}]", "jobs"},
		"another name next to labels":     {"[{name: bob}, {namespace: other, " + red + "}]", ""},
		"invalid labels":                  {`[{selector: {matchLabels: {"a b": red}}}]`, ""},
		"an invalid condition":            {"[{selector: {matchExpressions: [{key: team, operator: In}]}}]", ""},
		"no condition":                    {"[{selector: {}}]", "jobs"},
	} {
		l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners"}}
		if err := yaml.UnmarshalStrict([]byte("events: {sinks: [{name: all}, {name: jobs, users: "+c.users+"}]}"), &l.Spec); err != nil {
			t.Fatal(name, err)
		}
		u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "ada", Labels: map[string]string{"team": "red"}}}
		if got := strings.Join(EventSinksOf(l, u), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		s := eventSettings(l).Sinks
		if selects := strings.Contains(c.users, "selector"); s[0].Selected || s[1].Selected != selects || UsesLabels(l) != selects {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
