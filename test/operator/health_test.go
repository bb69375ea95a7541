package operator

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	lua "github.com/yuin/gopher-lua"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// argoText returns the Lua text that docs/gitops.md gives to Argo CD.
func argoText(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok1 := strings.Cut(string(page), "resource.customizations.health.sftp-operator.io_SFTPUser: |\n")
	text, _, ok2 := strings.Cut(text, "```")
	if !ok1 || !ok2 {
		t.Fatal("docs/gitops.md has no Lua text")
	}
	return text
}

// argoHealth runs the text on an object as Argo CD does, in a new state with the object as obj.
func argoHealth(text string, o map[string]any) (string, error) {
	l := lua.NewState()
	defer l.Close()
	l.SetGlobal("obj", luaValue(l, o))
	if err := l.DoString(text); err != nil {
		return "", err
	}
	out, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return "", fmt.Errorf("the text returns %s", l.Get(-1).Type())
	}
	if out.RawGetString("message").Type() != lua.LTString {
		return "", fmt.Errorf("the text returns no message")
	}
	return out.RawGetString("status").String(), nil
}

func luaValue(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		out := l.NewTable()
		for _, e := range v {
			out.Append(luaValue(l, e))
		}
		return out
	case map[string]any:
		out := l.NewTable()
		for k, e := range v {
			out.RawSetString(k, luaValue(l, e))
		}
		return out
	}
	return lua.LNil
}

// health is the health that Flux and Argo CD derive from a state of an object.
type health struct {
	at                            time.Duration
	phase, object, flux, argo, is string
}

// healthLog records the health of each state that the objects of a namespace go through.
type healthLog struct {
	text  string
	since time.Time

	mu    sync.Mutex
	phase string
	rows  []health
	err   error
}

func recordHealth(t *testing.T, ns string) *healthLog {
	t.Helper()
	l := &healthLog{text: argoText(t), since: time.Now()}
	for _, list := range []client.ObjectList{&v1alpha1.SFTPListenerList{}, &v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}} {
		w, err := api.Watch(t.Context(), list, client.InNamespace(ns))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
		go func() {
			for e := range w.ResultChan() {
				if o, ok := e.Object.(client.Object); ok && e.Type != watch.Deleted {
					l.note(o)
				}
			}
		}()
	}
	return l
}

func (l *healthLog) note(o client.Object) {
	row, err := l.of(o)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = err
		return
	}
	row.phase = l.phase
	for _, was := range slices.Backward(l.rows) {
		if was.object == row.object {
			if was.phase == row.phase && was.flux == row.flux && was.argo == row.argo && was.is == row.is {
				return
			}
			break
		}
	}
	l.rows = append(l.rows, row)
}

// of computes the health of one state.
func (l *healthLog) of(o client.Object) (health, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return health{}, err
	}
	u := &unstructured.Unstructured{Object: content}
	gvk, err := apiutil.GVKForObject(o, api.Scheme())
	if err != nil {
		return health{}, err
	}
	u.SetGroupVersionKind(gvk)
	flux, err := status.Compute(u)
	if err != nil {
		return health{}, err
	}
	argo, err := argoHealth(l.text, content)
	if err != nil {
		return health{}, err
	}
	row := health{at: time.Since(l.since), object: gvk.Kind + "/" + o.GetName(), flux: string(flux.Status), argo: argo}
	if c := conditions.Summary(conditionsOf(o)); c != nil {
		row.is = fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason)
	}
	return row, nil
}

// begin names the phase that starts now.
func (l *healthLog) begin(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
}

// check reports states that must not occur: Failed or Degraded, except where a mistake should be shown, and states in which
// Flux and Argo CD disagree.
func (l *healthLog) check(t *testing.T, mistakes map[string]bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		t.Fatal(l.err)
	}
	same := map[string]string{"Current": "Healthy", "InProgress": "Progressing", "Failed": "Degraded"}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SECOND\tPHASE\tOBJECT\tSUMMARY\tKSTATUS\tARGO CD")
	for _, r := range l.rows {
		fmt.Fprintf(table, "%.1f\t%s\t%s\t%s\t%s\t%s\n", r.at.Seconds(), r.phase, r.object, r.is, r.flux, r.argo)
		if want, ok := same[r.flux]; ok && r.argo != want { // Argo CD handles deletions itself
			t.Errorf("%s, %s: %s with Flux, but %s with Argo CD", r.phase, r.object, r.flux, r.argo)
		}
		if r.flux == "Failed" && !mistakes[r.phase] {
			t.Errorf("%s, %s: Failed, %s", r.phase, r.object, r.is)
		}
	}
	if err := table.Flush(); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", out.String())
}

// is waits until the last state of an object is the given one for both.
func (l *healthLog) is(t *testing.T, o client.Object, flux, argo string) {
	t.Helper()
	eventually(t, func() error {
		get(t, o, o.GetNamespace(), o.GetName())
		h, err := l.of(o)
		if err != nil {
			return err
		}
		if h.flux != flux || h.argo != argo {
			return fmt.Errorf("%s is %s and %s (%s), want %s and %s: %+v", h.object, h.flux, h.argo, h.is, flux, argo, conditionsOf(o))
		}
		return l.has(h) // otherwise it would be counted in the next phase
	})
}

// has returns nil if the last state of an object that the watch has delivered is the given one.
func (l *healthLog) has(h health) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range slices.Backward(l.rows) {
		if r.object == h.object {
			if r.flux == h.flux && r.argo == h.argo && r.is == h.is {
				return nil
			}
			break
		}
	}
	return fmt.Errorf("the watch has not delivered %s as %s", h.object, h.flux)
}

// rolledOut plays the Deployment's controller: all pods exist, or one is being replaced.
func rolledOut(t *testing.T, l *v1alpha1.SFTPListener, done bool) {
	t.Helper()
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKey{Namespace: l.Namespace, Name: l.Name + "-sftp"}, d); err != nil {
			return err
		}
		if *d.Spec.Replicas != *l.Spec.Replicas {
			return errors.New("the Deployment does not have the number of pods that the listener wants")
		}
		return nil
	})
	before := d.DeepCopy()
	d.Status.ObservedGeneration, d.Status.Replicas, d.Status.UpdatedReplicas = d.Generation, 1, 0
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated"}}
	if done {
		d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, 1, 1
		d.Status.Conditions[0].Reason = "NewReplicaSetAvailable"
	}
	if err := api.Status().Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// scaledToZero plays the Deployment's controller when no pods are wanted.
func scaledToZero(t *testing.T, l *v1alpha1.SFTPListener) {
	t.Helper()
	d := &appsv1.Deployment{}
	eventually(t, func() error {
		get(t, d, l.Namespace, l.Name+"-sftp")
		if d.Spec.Replicas == nil || *d.Spec.Replicas != 0 {
			return errors.New("the Deployment wants pods")
		}
		return nil
	})
	before := d.DeepCopy()
	d.Status.ObservedGeneration, d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = d.Generation, 0, 0, 0, 0
	if err := api.Status().Patch(t.Context(), d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// A listener, a login and its key through their lives, as Flux and Argo CD see them: nothing that recovers without help is
// Failed or Degraded, and nothing that needs help, or is as intended, stays InProgress.
func TestHealthThroughALife(t *testing.T) {
	ns := namespace(t, nil)
	log := recordHealth(t, ns)
	failed := func(o client.Object) { log.is(t, o, "Failed", "Degraded") }
	current := func(o client.Object) { log.is(t, o, "Current", "Healthy") }
	progress := func(o client.Object) { log.is(t, o, "InProgress", "Progressing") }

	log.begin("create: the user first")
	u := newUser(ns, "acme", withPassword("acme"))
	create(t, u)
	progress(u)
	log.begin("create: the listener")
	l := newListener(ns)
	create(t, l)
	progress(l)
	log.begin("create: a pod")
	p := readyPod(t, l, "a")
	rolledOut(t, l, true)
	current(l)
	progress(u)
	log.begin("create: the Secret")
	secret := passwordSecret(ns, "acme", "hunter2-long")
	create(t, secret)
	current(u)
	log.begin("create: a key")
	k := partnerKey(ns, "assigned", ns+"assigned", assignedTo("acme"))
	create(t, k)
	current(k)

	log.begin("a rollout")
	change(t, l, func(l *v1alpha1.SFTPListener) {
		l.Spec.Volumes = append(l.Spec.Volumes, v1alpha1.ListenerVolume{Name: "more", EmptyDir: &v1alpha1.EmptyDirVolume{}})
	})
	waitFor(t, l, "RolledOut", "False", "RollingOut", "")
	rolledOut(t, l, false)
	progress(l)
	setReady(t, p, corev1.ConditionFalse)
	clock.jump(t, 6*time.Second)
	waitFor(t, l, "Ready", "False", "PodsUnavailable", "")
	waitFor(t, u, "Ready", "False", "PodsUnavailable", "No pod of the listener is ready, so none of its users can log in; the listener's condition Ready says why")
	p = readyPod(t, l, "b")
	rolledOut(t, l, true)
	current(l)
	current(u)

	log.begin("suspended")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	waitRefused(t, u, "Suspended", "")
	current(u)
	log.begin("active again")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive })
	waitReady(t, u)
	current(u)
	log.begin("expires")
	end := new(metav1.NewTime(clock.now().Add(time.Hour).Truncate(time.Second)))
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = end })
	waitReady(t, u)
	clock.jump(t, time.Hour+time.Second)
	askPods(t, l, 1)
	waitRefused(t, u, "Expired", "")
	current(u)
	log.begin("longer")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = nil })
	waitReady(t, u)
	current(u)

	log.begin("mistake: a key")
	change(t, u, func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, "ssh-ed25519 AAAAB3Nza ops@acme")
	})
	failed(u)
	log.begin("repair: the key")
	change(t, u, func(u *v1alpha1.SFTPUser) {
		u.Spec.Authentication.AuthorizedKeys = u.Spec.Authentication.AuthorizedKeys[:1]
	})
	waitReady(t, u)
	current(u)
	log.begin("a Secret that comes later")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.PasswordSecretRef.Name = "later" })
	waitFor(t, u, "Ready", "False", "SecretNotFound", "")
	progress(u)
	log.begin("mistake: a Secret that does not come")
	clock.jump(t, conditions.ReferenceDeadline)
	// The operator would evaluate the user again according to the real clock; a different change to the user triggers that now.
	create(t, partnerKey(ns, "second", ns+"second", assignedTo("acme")))
	failed(u)
	log.begin("repair: the Secret")
	change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Authentication.PasswordSecretRef.Name = "acme" })
	waitReady(t, u)
	current(u)

	log.begin("without replicas")
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(0)) })
	setReady(t, p, corev1.ConditionFalse)
	scaledToZero(t, l)
	clock.jump(t, 6*time.Second)
	current(l)
	waitFor(t, u, "Inactive", "True", "ScaledToZero", "")
	current(u)
	log.begin("with one again")
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(1)) })
	setReady(t, p, corev1.ConditionTrue)
	rolledOut(t, l, true)
	current(l)
	current(u)

	log.begin("delete: the listener")
	remove(t, l)
	waitFor(t, u, "Ready", "False", "ListenerNotFound", "")
	progress(u)
	log.begin("delete: the user")
	remove(t, u)
	log.check(t, map[string]bool{"mistake: a key": true, "mistake: a Secret that does not come": true})
}
