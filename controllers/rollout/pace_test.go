package rollout

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// state is the state of a listener's rollout.
type state struct {
	image  string
	cause  Cause
	reason string // of the condition Progressing, "" for none
	failed bool   // the condition is False
	unseen bool   // the Deployment's controller has not observed it yet
}

func deployment(name string, s state) appsv1.Deployment {
	d := appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name + "-sftp", Generation: 2, Labels: map[string]string{v1alpha1.LabelListener: name}},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, AvailableReplicas: 1},
	}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "sftpd", Image: s.image}}
	if s.cause != "" {
		_ = Record{Cause: s.cause, Inputs: "i", Parts: map[string]string{"image": "x"}}.Write(&d) // cannot fail
	}
	if s.unseen {
		d.Status.ObservedGeneration = 1
	}
	if s.reason != "" {
		c := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: s.reason}
		if s.failed {
			c.Status = corev1.ConditionFalse
			d.Status.AvailableReplicas = 0
		}
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "x"}, c}
	}
	return d
}

var (
	done    = state{image: "v2", cause: Operator, reason: completeReason}
	old     = state{image: "v1", cause: First, reason: completeReason}
	rolling = state{image: "v2", cause: Operator, reason: "ReplicaSetUpdated"}
	stuck   = state{image: "v2", cause: Operator, reason: "ProgressDeadlineExceeded", failed: true}
)

func with(s state, edit func(*state)) state { edit(&s); return s }

func TestBusy(t *testing.T) {
	for name, c := range map[string]struct {
		states []state
		want   int
	}{
		"nothing":                            {nil, 0},
		"all done":                           {[]state{done, done, old}, 0},
		"two in progress":                    {[]state{rolling, done, rolling}, 2},
		"applied just now":                   {[]state{with(done, func(s *state) { s.unseen = true })}, 1},
		"without a condition":                {[]state{with(done, func(s *state) { s.reason = "" })}, 1},
		"of an operator that kept no record": {[]state{with(rolling, func(s *state) { s.cause = "" })}, 0},
		"broken before the upgrade":          {[]state{with(stuck, func(s *state) { s.image = "v1" }), with(rolling, func(s *state) { s.image = "v1" })}, 0},
		"of pods that no one used":           {[]state{with(stuck, func(s *state) { s.cause = Idle })}, 0},
		"new listeners":                      {[]state{with(rolling, func(s *state) { s.cause = First })}, 0},
		"owners' changes":                    {[]state{with(rolling, func(s *state) { s.cause = Owner })}, 0},
		"a version that starts nowhere":      {[]state{stuck, stuck, old}, 2},
		"one of its own reasons":             {[]state{stuck, rolling, done}, 1},
		"a new listener proves the image":    {[]state{stuck, with(done, func(s *state) { s.cause = First })}, 0},
		"the version before proves nothing":  {[]state{stuck, old}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var list []appsv1.Deployment
			var listeners []v1alpha1.SFTPListener
			for i, s := range c.states {
				list = append(list, deployment(fmt.Sprint("l", i), s))
				listeners = append(listeners, content(fmt.Sprint("l", i)))
			}
			list = append(list, deployment("without-a-listener", rolling))
			if f := Observe(list, listeners, "v2", nil); len(f.Busy) != c.want {
				t.Errorf("busy %v, want %d", f.Busy, c.want)
			}
		})
	}
}

// With Recreate, the Deployment's controller first ends the old pods, and its condition is still that of the previous rollout.
func TestRecreateRolls(t *testing.T) {
	for name, c := range map[string]struct {
		revision, after string
		updated         int32
		want            bool
	}{
		"old pods end":                  {"1", "1", 0, true},
		"a new ReplicaSet is there":     {"2", "1", 0, false}, // the condition covers the rest
		"nothing was to change":         {"1", "1", 1, false},
		"a pod went later":              {"2", "1", 0, false},
		"made by this operator at once": {"1", "", 0, false},
	} {
		d := deployment("a", done)
		r := Record{Cause: Operator, After: c.after, Inputs: "i", Parts: map[string]string{"image": "x"}}
		if err := r.Write(&d); err != nil {
			t.Fatal(err)
		}
		d.Annotations[revisionAnnotation] = c.revision
		d.Spec.Replicas, d.Status.UpdatedReplicas = new(int32(1)), c.updated
		if got := Rolling(&d); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		available int32
		observed  int64
		want      bool
	}{
		"serves": {1, 2, false}, "none is available": {0, 2, true}, "not looked at yet": {0, 1, false},
	} {
		d := deployment("a", done)
		d.Status.AvailableReplicas, d.Status.ObservedGeneration = c.available, c.observed
		if got := Unavailable(&d); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func waiting(name string, since int64, edits ...func(*v1alpha1.SFTPListener)) v1alpha1.SFTPListener {
	l := v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	l.Status.PendingRestart = &v1alpha1.ListenerPendingRestart{Reason: v1alpha1.ReasonRolloutQueued, Since: metav1.Unix(since, 0)}
	for _, edit := range edits {
		edit(&l)
	}
	return l
}

// content is a listener that waits for nothing.
func content(name string) v1alpha1.SFTPListener {
	return waiting(name, 0, func(l *v1alpha1.SFTPListener) { l.Status.PendingRestart = nil })
}

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: name}
}

func place(name string, since int64) Place { return Place{named(name), time.Unix(since, 0)} }

func TestQueue(t *testing.T) {
	list := []v1alpha1.SFTPListener{
		waiting("c", 20), waiting("b", 20), waiting("a", 30),
		waiting("held", 1, func(l *v1alpha1.SFTPListener) { l.Annotations = map[string]string{v1alpha1.AnnotationPaused: "true"} }),
		waiting("frozen", 1, func(l *v1alpha1.SFTPListener) { l.Spec.Infrastructure.Rollout = v1alpha1.RolloutPaused }),
		waiting("blocked", 1, func(l *v1alpha1.SFTPListener) { l.Status.PendingRestart.Reason = v1alpha1.ReasonRolloutBlocked }),
		waiting("going", 1, func(l *v1alpha1.SFTPListener) { l.DeletionTimestamp = new(metav1.Now()) }),
		content("content"),
		waiting("rolls", 1),
	}
	f := Observe([]appsv1.Deployment{deployment("rolls", rolling)}, list, "v2", nil)
	if got := fmt.Sprint(f.Queue); got != fmt.Sprint([]Place{place("b", 20), place("c", 20), place("a", 30)}) {
		t.Fatalf("queue %s", got)
	}
	for _, c := range []struct {
		who   Place
		limit int
		want  bool
	}{
		{place("b", 20), 1, false},
		{place("b", 20), 2, true},
		{place("c", 20), 2, false},
		{place("c", 20), 3, true},
		{place("a", 30), 3, false},
		{place("a", 30), 4, true},
		{place("late", 40), 4, false},
		{place("late", 40), 5, true},
		{place("blocked", 1), 2, true}, // it has kept its place
		{place("rolls", 1), 1, true},   // it was admitted before
		{place("late", 40), 0, true},   // no limit
	} {
		if got := f.Admits(c.who, c.limit); got != c.want {
			t.Errorf("%s of at most %d: %v", c.who.Name, c.limit, got)
		}
	}
	for limit, want := range []int{0, 0, 1, 2, 3, 3} {
		if got := f.Next(limit); len(got) != want {
			t.Errorf("of at most %d, %d are next, want %d", limit, len(got), want)
		}
	}
}

// An admission counts even if the caches still show the previous Deployment.
func TestGrantedCounts(t *testing.T) {
	list := []appsv1.Deployment{deployment("a", old), deployment("b", old), deployment("c", done)}
	granted := Granted{named("a"): 2, named("c"): 1, named("gone"): 1}
	f := Observe(list, []v1alpha1.SFTPListener{waiting("a", 1), content("b"), content("c")}, "v2", granted)
	if len(f.Busy) != 1 || !f.Busy[named("a")] || len(f.Queue) != 0 {
		t.Errorf("%+v", f)
	}
}

// A fleet of 200 is rolled out five at a time: never more, in the order of the queue, and completely, even though the operator
// forgets everything at each step.
func TestFleetGoesThrough(t *testing.T) {
	const n, limit = 200, 5
	states := make([]state, n)
	for i := range states {
		states[i] = old
	}
	var order []int
	for step := 0; step < 10*n && len(order) < n; step++ {
		list := make([]appsv1.Deployment, 0, n)
		var listeners []v1alpha1.SFTPListener
		for i, s := range states {
			list = append(list, deployment(fmt.Sprintf("l%03d", i), s))
			if s.image == "v1" {
				listeners = append(listeners, waiting(fmt.Sprintf("l%03d", i), int64(i/7)))
			} else {
				listeners = append(listeners, content(fmt.Sprintf("l%03d", i)))
			}
		}
		f := Observe(list, listeners, "v2", nil)
		if len(f.Busy) > limit {
			t.Fatalf("%d at a time", len(f.Busy))
		}
		for _, p := range f.Next(limit) {
			if !f.Admits(p, limit) {
				t.Fatalf("%v is next, but is not admitted", p)
			}
			var i int
			if _, err := fmt.Sscanf(p.Name.Name, "l%d", &i); err != nil {
				t.Fatal(err)
			}
			states[i] = rolling
			order = append(order, i)
		}
		for i := range states {
			if states[i] == rolling && i%3 == step%3 {
				states[i] = done
			}
		}
	}
	if len(order) != n {
		t.Fatalf("%d of %d rolled out", len(order), n)
	}
	for i := range order {
		if order[i] != i {
			t.Fatalf("place %d had listener %d", i, order[i])
		}
	}
}
