package render

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// With an empty spec, the status has all defaults; with everything set, the spec's values. The names are the same, so the
// status can be copied into the spec without changing anything.
func TestEffective(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home"}}
	first := Effective(l)
	complete(t, "effective", reflect.ValueOf(first))
	if *first.Limits.MaxConnections != 500 || *first.Limits.MaxConnectionsPerUser != 10 || first.HomeDirectory.Volume != "home" ||
		first.Sources.Penalties != v1alpha1.PenaltiesEnabled || *first.Authentication.MaxAuthTries != 6 || *first.KeyPolicy.ExpiringWithinDays != 30 {
		t.Errorf("%+v", first)
	}
	l.Spec.Limits, l.Spec.Shutdown, l.Spec.Sources, l.Spec.HomeDirectory = first.Limits, first.Shutdown, first.Sources, first.HomeDirectory
	l.Spec.KeyPolicy, l.Spec.Authentication.PasswordPolicy = first.KeyPolicy, first.Authentication.PasswordPolicy
	l.Spec.Authentication.MaxAuthTries, l.Spec.Authentication.LoginGraceSeconds = first.Authentication.MaxAuthTries, first.Authentication.LoginGraceSeconds
	if again := Effective(l); !reflect.DeepEqual(again, first) {
		t.Errorf("%+v, want %+v", again, first)
	}
	// If pods do not see clients' addresses, defaults differ.
	hidden := &v1alpha1.SFTPListener{}
	hidden.Spec.Service.ExternalTrafficPolicy = v1alpha1.TrafficCluster
	if e := Effective(hidden); e.Sources.Penalties != v1alpha1.PenaltiesDisabled || *e.Limits.Startups.PerSource != 0 {
		t.Errorf("%+v", e)
	}
}

// complete checks that each field has a value, except those that mean never or none.
func complete(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	none := []string{"effective.KeyPolicy.UnusedAfterDays", "effective.Sources.ExemptCIDRs", "effective.HomeDirectory.MovedFrom"}
	for i := range v.NumField() {
		name := path + "." + v.Type().Field(i).Name
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			complete(t, name, f)
		case f.IsZero() && !slices.Contains(none, name):
			t.Errorf("%s is not set", name)
		}
	}
}
