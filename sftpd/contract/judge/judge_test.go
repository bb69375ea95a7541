package judge

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// orders lists the checks of each credential in the daemon's order: what a stranger may learn by trying comes first.
var orders = map[reflect.Type][]event.Reason{
	reflect.TypeFor[Key](): {
		event.MethodNotOffered, event.LoginPenalized, event.KeyRevoked, event.CANotTrusted, event.UnknownUser, event.CertificatesNotAccepted,
		event.KeyNotRegistered, event.KeyTooShort, event.SourceNotAllowed, event.UserExpired, event.KeyUsedBefore, event.KeyExpired,
		event.KeyNotYetValid, event.PasswordRequiredFirst,
	},
	reflect.TypeFor[Password](): {
		event.PasswordQueueFull, event.LoginPenalized, event.MethodNotOffered, event.UnknownUser, event.SourceNotAllowed, event.UserExpired,
		event.NoPassword, event.PasswordRequiredFirst, event.WrongPassword,
	},
	reflect.TypeFor[Code]():       {event.LoginPenalized, event.ChangedDuringLogin, event.SourceNotAllowed, event.UserExpired, event.PasswordRequiredFirst},
	reflect.TypeFor[Connection](): {event.SourceNotAllowed, event.SourcePenalized},
}

// TestOrder: each field alone decides, and takes precedence over those after it.
func TestOrder(t *testing.T) {
	for kind, reasons := range orders {
		if kind.NumField() != len(reasons) {
			t.Errorf("%s has %d fields, and the test %d reasons", kind.Name(), kind.NumField(), len(reasons))
			continue
		}
		if d := decide(reflect.New(kind).Elem()); !d.Accepted() {
			t.Errorf("%s with nothing against it: %+v", kind.Name(), d)
		}
		for i, want := range reasons {
			// All later ones hold as well.
			v := reflect.New(kind).Elem()
			for later := i; later < len(reasons); later++ {
				set(v.Field(later), Yes, reasons[later])
			}
			if d := decide(v); d.Reason != want || d.Open != nil || d.Accepted() {
				t.Errorf("%s.%s: %+v, want %s", kind.Name(), kind.Field(i).Name, d, want)
			}
			// One that is unknown, and another after it that holds.
			if kind.Field(i).Type != reflect.TypeFor[Answer]() {
				continue
			}
			v = reflect.New(kind).Elem()
			set(v.Field(i), Unknown, "")
			if d := decide(v); d.Reason != "" || !slices.Equal(d.Open, []event.Reason{want}) || d.Accepted() {
				t.Errorf("%s.%s is not known: %+v", kind.Name(), kind.Field(i).Name, d)
			}
			if i+1 < len(reasons) {
				set(v.Field(i+1), Yes, reasons[i+1])
				if d := decide(v); d.Reason != reasons[i+1] || !slices.Equal(d.Open, []event.Reason{want}) {
					t.Errorf("%s.%s is not known, and the next holds: %+v", kind.Name(), kind.Field(i).Name, d)
				}
			}
		}
	}
}

func set(field reflect.Value, a Answer, r event.Reason) {
	if field.Type() == reflect.TypeFor[Answer]() {
		field.Set(reflect.ValueOf(a))
		return
	}
	field.Set(reflect.ValueOf(r))
}

func decide(v reflect.Value) Decision {
	d, _ := reflect.TypeAssert[interface{ Decide() Decision }](v)
	return d.Decide()
}

func TestOrderOfSteps(t *testing.T) {
	both := factor.Set{{factor.PublicKey, factor.Password}}
	for _, tc := range []struct {
		methods factor.Set
		done    []factor.Step
		step    factor.Step
		want    event.Reason
	}{
		{both, nil, factor.PublicKey, ""},
		{both, nil, factor.Password, event.KeyRequiredFirst},
		{both, []factor.Step{factor.PublicKey}, factor.Password, ""},
		{both, []factor.Step{factor.PublicKey}, factor.PublicKey, event.ChangedDuringLogin},
		{factor.Set{{factor.Password, factor.PublicKey}}, nil, factor.PublicKey, event.PasswordRequiredFirst},
	} {
		if got := Order(tc.methods, tc.done, tc.step); got != tc.want {
			t.Errorf("%v, done %v, then %s: %q, want %q", tc.methods, tc.done, tc.step, got, tc.want)
		}
	}
}
