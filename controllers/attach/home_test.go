package attach

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func TestHomeStaysWhereItIs(t *testing.T) {
	data := v1alpha1.ListenerVolume{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{}}
	front := v1alpha1.ListenerVolume{Name: "front", ClaimTemplate: &v1alpha1.ClaimTemplate{}}
	scratch := v1alpha1.ListenerVolume{Name: "scratch", EmptyDir: &v1alpha1.EmptyDirVolume{}}
	existing := func(name, claim string) v1alpha1.ListenerVolume {
		return v1alpha1.ListenerVolume{Name: name, PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: claim}}
	}
	onData := &v1alpha1.HomeVolume{Name: "data", ClaimName: "partners-data"}
	for _, tt := range []struct {
		name              string
		volumes           []v1alpha1.ListenerVolume
		volume, movedFrom string
		was               *v1alpha1.HomeVolume
		// want is the home volume expected, and status the one recorded.
		want, status string
		problem      string
	}{
		{"a new listener", []v1alpha1.ListenerVolume{data, front}, "", "", nil, "data", "data partners-data", ""},
		{"a new listener with a named home", []v1alpha1.ListenerVolume{data, front}, "front", "", nil, "front", "front partners-front", ""},
		{"as before", []v1alpha1.ListenerVolume{data, front}, "", "", onData, "data", "data partners-data", ""},
		{"another order", []v1alpha1.ListenerVolume{front, data}, "", "", onData, "data", "data partners-data", `set homeDirectory.volume to "data"`},
		{"another home", []v1alpha1.ListenerVolume{data, front}, "front", "", onData, "data", "data partners-data", `set homeDirectory.movedFrom to "data"`},
		{"moved", []v1alpha1.ListenerVolume{front, data}, "", "data", onData, "front", "front partners-front", ""},
		{"moved from elsewhere", []v1alpha1.ListenerVolume{front, data}, "", "scratch", onData, "data", "data partners-data", "stay there"},
		{"the word is old", []v1alpha1.ListenerVolume{front, data}, "", "data", &v1alpha1.HomeVolume{Name: "front", ClaimName: "partners-front"}, "front", "front partners-front", ""},
		{"gone", []v1alpha1.ListenerVolume{front}, "", "", onData, "", "data partners-data", "add that volume again"},
		{"the same name on another claim", []v1alpha1.ListenerVolume{existing("data", "other")}, "", "", onData, "", "data partners-data", "is no longer in spec.volumes"},
		{"another name for the claim", []v1alpha1.ListenerVolume{existing("files", "partners-data")}, "", "", onData, "files", "files partners-data", ""},
		{"an emptyDir stays", []v1alpha1.ListenerVolume{data, scratch}, "", "", &v1alpha1.HomeVolume{Name: "scratch"}, "scratch", "scratch ", "stay there"},
		{"an emptyDir is gone", []v1alpha1.ListenerVolume{data}, "", "", &v1alpha1.HomeVolume{Name: "scratch"}, "", "scratch ", "add that volume again"},
		{"a home that is no volume", []v1alpha1.ListenerVolume{data}, "none", "", nil, "", "", ""},
	} {
		l := &v1alpha1.SFTPListener{}
		l.Name, l.Spec.Volumes = "partners", tt.volumes
		l.Spec.HomeDirectory = v1alpha1.ListenerHomeDirectory{Volume: tt.volume, MovedFrom: tt.movedFrom}
		l = WithHome(l, tt.was)
		status := ""
		if h := HomeOf(l); h != nil {
			status = h.Name + " " + h.ClaimName
		}
		message, served := HomeProblem(l)
		if got := HomeVolume(l); got != tt.want || status != tt.status || served != (tt.want != "" || tt.was == nil) {
			t.Errorf("%s: %q, status %q, served %v; want %q, %q", tt.name, got, status, served, tt.want, tt.status)
		}
		if (message == "") != (tt.problem == "") || !strings.Contains(message, tt.problem) {
			t.Errorf("%s: %q", tt.name, message)
		}
	}
}

// A user whose home is on a volume that the listener no longer has gets a condition; one with its directory elsewhere can log
// in.
func TestHomeThatIsGone(t *testing.T) {
	l := WithHome(listener(), &v1alpha1.HomeVolume{Name: "old", ClaimName: "partners-old"})
	d := decideOne(t, l, user("platform", "acme"))
	if d.Reason != v1alpha1.ReasonVolumeNotFound || !strings.Contains(d.Message, `on volume "old", which its spec no longer has`) {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
	d = decideOne(t, l, user("platform", "acme", func(u *v1alpha1.SFTPUser) { u.Spec.HomeDirectory.Volume = "archive" }))
	if !d.Accepted() {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
}

// The memo of a decision is discarded when the home volume changes.
func TestHomeThatComesBack(t *testing.T) {
	memo := &Memo{}
	u := user("platform", "acme")
	for i, l := range []*v1alpha1.SFTPListener{listener(), WithHome(listener(), &v1alpha1.HomeVolume{Name: "old", ClaimName: "partners-old"}), listener()} {
		d := Decide(Input{Listener: l, Users: []*v1alpha1.SFTPUser{u}, Now: now}, memo).Decisions[0]
		if d.Accepted() != (i != 1) {
			t.Errorf("%d: %s: %s", i, d.Reason, d.Message)
		}
	}
}
