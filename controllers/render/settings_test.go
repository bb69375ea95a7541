package render

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// A code is used up on all pods. If there are several, they share the used codes; otherwise a code that an onlooker has
// seen would log in again at another pod.
func TestSharedCodes(t *testing.T) {
	for _, c := range []struct {
		replicas *int32
		home     string
		want     string
	}{
		{nil, "", ""},
		{new(int32(0)), "", ""},
		{new(int32(1)), "", ""},
		{new(int32(2)), "", "home"},
		{new(int32(3)), "", "home"},
		{new(int32(20)), "archive", "archive"},
	} {
		l := &v1alpha1.SFTPListener{}
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home"}, {Name: "archive"}}
		l.Spec.Replicas, l.Spec.HomeDirectory.Volume = c.replicas, c.home
		name := "unset"
		if c.replicas != nil {
			name = strconv.Itoa(int(*c.replicas))
		}
		if got := Settings(l, Trust{}, PodVolumePath).Authentication.SharedCodes; got != c.want {
			t.Errorf("replicas %s: sharedCodes %q, want %q", name, got, c.want)
		}
	}
}

// Settings that a listener does not set have the defaults that the API's documentation promises.
func TestDefaultsOfSettings(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home"}}
	got := Settings(l, Trust{}, PodVolumePath)
	if got.Authentication.MaxTries != 6 || got.Authentication.LoginGraceSeconds != 30 {
		t.Errorf("authentication %+v", got.Authentication)
	}
	if want := (config.Limits{MaxConnections: 500, MaxConnectionsPerUser: 10, IdleTimeoutSeconds: 900}); !reflect.DeepEqual(got.Limits, want) {
		t.Errorf("limits %+v, want %+v", got.Limits, want)
	}
	if want := (config.Shutdown{ReadinessDelaySeconds: 5, DrainTimeoutSeconds: 300}); got.Shutdown != want {
		t.Errorf("shutdown %+v, want %+v", got.Shutdown, want)
	}
	if MinPasswordLength(l) != 8 {
		t.Errorf("passwords of %d characters", MinPasswordLength(l))
	}
	// An explicit number applies, including 0.
	l.Spec.Shutdown.ReadinessDelaySeconds, l.Spec.Shutdown.DrainTimeoutSeconds = new(int32(0)), new(int32(7))
	l.Spec.Authentication.MaxAuthTries, l.Spec.Authentication.PasswordPolicy.MinLength = new(int32(2)), new(int32(16))
	l.Spec.Limits.MaxConnections, l.Spec.Limits.IdleTimeoutSeconds = new(int32(3)), new(int32(4))
	got = Settings(l, Trust{}, PodVolumePath)
	if got.Shutdown != (config.Shutdown{DrainTimeoutSeconds: 7}) || got.Authentication.MaxTries != 2 || got.Limits.MaxConnections != 3 ||
		got.Limits.IdleTimeoutSeconds != 4 || MinPasswordLength(l) != 16 {
		t.Errorf("%+v", got)
	}
}

// A user without limits has none in its record, and its certificates are in it only if it accepts them.
func TestRecordOfAPlainUser(t *testing.T) {
	d := decision()
	d.User.Spec.Limits, d.User.Spec.ExpirationTime = v1alpha1.UserLimits{}, nil
	c := creds()
	for _, accepts := range []bool{false, true} {
		c.Certificates = accepts
		got := UserRecord(readListener(t, "full"), d, c)
		if got.MaxConnections != 0 || got.NotAfter != nil || got.Certificates != accepts {
			t.Errorf("%+v", got)
		}
	}
}

// The API counts characters, and the daemon bytes: what the API accepts must not make the daemon refuse all settings.
func TestLongPatterns(t *testing.T) {
	l := readListener(t, "minimal")
	pattern := func(n int) string { return strings.Repeat("\U0001f4c4", n) }
	l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "old", DeleteAfterSeconds: 86400, Match: []string{pattern(255)}}}
	l.Spec.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{Name: "jobs"}}, TemporaryNames: []string{pattern(128)}}
	keys := []PrivateHostKey{{Private: []byte("key"), State: v1alpha1.HostKeyActive}}
	if _, _, err := Compose(Settings(l, Trust{}, PodVolumePath), keys, nil, nil); err != nil {
		t.Error(err)
	}
}

// A hold without a volume is on the home volume. While that is unknown, files that it protects may be on any volume.
func TestHoldsWhileHomesWouldMove(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	claim := func(name string) v1alpha1.ListenerVolume {
		return v1alpha1.ListenerVolume{Name: "data", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: name}}
	}
	l.Spec.Volumes = []v1alpha1.ListenerVolume{claim("a")}
	l.Spec.Retention.Rules = []v1alpha1.RetentionRule{{Name: "old", Volume: "data", DeleteAfterSeconds: 86400, Mode: v1alpha1.RetentionEnforce}}
	mode := func() string { return Settings(l, Trust{}, PodVolumePath).Retention.Rules[0].Mode }
	hold := []v1alpha1.RetentionHold{{Name: "case", Path: "team/acme"}}
	l.Spec.Retention.Holds, l.Status.HomeVolume = hold, &v1alpha1.HomeVolume{Name: "data", ClaimName: "a"}
	if got := mode(); got != config.RetentionEnforce {
		t.Errorf("mode %s with a hold", got)
	}
	l.Spec.Volumes[0] = claim("b")
	if got := mode(); got != config.RetentionReport {
		t.Errorf("mode %s, although it is unknown where the hold is", got)
	}
	l.Spec.Retention.Holds[0].Volume = "data"
	if got := mode(); got != config.RetentionEnforce {
		t.Errorf("mode %s with a hold on a volume", got)
	}
}
