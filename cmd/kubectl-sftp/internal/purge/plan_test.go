package purge

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

func input(t *testing.T, users ...v1alpha1.SFTPUser) Input {
	t.Helper()
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{
			{Name: "data", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}},
			{Name: "scratch", EmptyDir: &v1alpha1.EmptyDirVolume{}},
		}},
	}
	return Input{Listener: l, Deployment: render.Deployment(l, "sftpd:1", false), Users: users, Namespace: "team-a", Name: "acme"}
}

func user(namespace, name string, home v1alpha1.Directory, mounts ...v1alpha1.Directory) v1alpha1.SFTPUser {
	u := v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.SFTPUserSpec{HomeDirectory: home}}
	for _, d := range mounts {
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Directory: d})
	}
	return u
}

func TestRefusals(t *testing.T) {
	own := v1alpha1.Directory{}
	in := func(scope v1alpha1.DirectoryScope, subPath string) v1alpha1.Directory {
		return v1alpha1.Directory{Scope: scope, SubPath: subPath}
	}
	for name, c := range map[string]struct {
		user          v1alpha1.SFTPUser
		refused, note string
	}{
		"the user itself":                       {user: user("team-a", "acme", own), refused: "exists"},
		"one of the same name elsewhere":        {user: user("team-b", "acme", own)},
		"one whose name begins alike":           {user: user("team-a", "acme-2", own)},
		"a home in it":                          {user: user("team-a", "x", in(v1alpha1.ScopeNamespace, "acme/in")), refused: "team-a/acme/in"},
		"the same by the namespace":             {user: user("team-a", "x", in(v1alpha1.ScopeNamespace, "acme")), refused: "team-a/acme"},
		"the same by the volume, as a mount":    {user: user("platform", "x", own, in(v1alpha1.ScopeVolume, "team-a/acme")), refused: "team-a/acme"},
		"a mount of the namespace":              {user: user("team-a", "auditor", own, in(v1alpha1.ScopeNamespace, "")), note: "team-a/auditor"},
		"a mount of the whole volume":           {user: user("platform", "backup", in(v1alpha1.ScopeVolume, "")), note: "platform/backup"},
		"a directory next to it, alike in name": {user: user("team-a", "x", in(v1alpha1.ScopeNamespace, "acme-old"))},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Decide(input(t, c.user))
			if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Fatalf("%v, want %q", err, c.refused)
			}
			noted := slices.ContainsFunc(plan.Notes, func(n string) bool { return strings.Contains(n, "contains team-a/acme") && strings.Contains(n, c.note) })
			if noted != (c.note != "") {
				t.Errorf("notes %q, want %q", plan.Notes, c.note)
			}
		})
	}
}

// The Job's pod resembles the listener's: its image, its permissions and its volumes, without its configuration, and no
// selector matches it.
func TestJob(t *testing.T) {
	in := input(t)
	plan, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	daemon, pod := in.Deployment.Spec.Template.Spec, plan.Job.Spec.Template.Spec
	c := pod.Containers[0]
	if want := []string{"-directory", "team-a/acme", "-listener", "platform/partners", "-volume", "data=" + render.PodVolumePath("data")}; !slices.Equal(c.Args, want) {
		t.Errorf("%q, want %q", c.Args, want)
	}
	if c.Image != "sftpd:1" || !slices.Equal(c.Command, []string{"/sftpd", "purge"}) || *plan.Job.Spec.BackoffLimit != 0 || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("%+v", c)
	}
	if len(c.VolumeMounts) != 1 || len(pod.Volumes) != 1 || pod.Volumes[0].PersistentVolumeClaim.ClaimName != "files" {
		t.Errorf("%+v %+v", c.VolumeMounts, pod.Volumes)
	}
	if pod.SecurityContext == nil || !*pod.SecurityContext.RunAsNonRoot || c.SecurityContext == nil || *c.SecurityContext.AllowPrivilegeEscalation ||
		*pod.SecurityContext.FSGroup != *daemon.SecurityContext.FSGroup || *pod.AutomountServiceAccountToken {
		t.Errorf("%+v %+v", pod.SecurityContext, c.SecurityContext)
	}
	for key, value := range in.Deployment.Spec.Selector.MatchLabels {
		if plan.Job.Spec.Template.Labels[key] == value {
			t.Errorf("the listener's Service selects it by %s=%s", key, value)
		}
	}
	if len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "scratch") || pod.Affinity != nil {
		t.Errorf("%q %+v", plan.Notes, pod.Affinity)
	}
}

func TestRemoves(t *testing.T) {
	in := input(t)
	in.Remove, in.Running = true, true
	plan, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	pod := plan.Job.Spec.Template.Spec
	if args := pod.Containers[0].Args; !slices.Contains(args, "-remove") || slices.Contains(args, "-remove-receipts") {
		t.Errorf("%q", args)
	}
	in.RemoveReceipts = true
	if plan, err := Decide(in); err != nil || !slices.Contains(plan.Job.Spec.Template.Spec.Containers[0].Args, "-remove-receipts") {
		t.Errorf("receipts are not removed: %+v %v", plan.Job, err)
	}
	terms := pod.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if len(terms) != 1 || terms[0].TopologyKey != corev1.LabelHostname || terms[0].LabelSelector.MatchLabels[v1alpha1.LabelListener] != "partners" {
		t.Errorf("%+v", terms)
	}
}

func TestNoVolume(t *testing.T) {
	in := input(t)
	in.Listener.Spec.Volumes = in.Listener.Spec.Volumes[1:]
	if plan, err := Decide(in); err == nil || !strings.Contains(err.Error(), "no volume that outlives its pods") {
		t.Errorf("%+v %v", plan, err)
	}
	in = input(t)
	in.Deployment.Spec.Template.Spec = corev1.PodSpec{Containers: []corev1.Container{{}}}
	if _, err := Decide(in); err == nil {
		t.Error("a Deployment that does not have the volume yet is not an error")
	}
}
