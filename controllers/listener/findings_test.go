package listener

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// found returns findings for a listener whose configuration was delivered at noon.
func found() *findings {
	return &findings{
		listener: &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners", UID: "l"}},
		access:   &exchange.Access{Delivered: delivery.Result{Version: version("new")}}, memory: &memory{}, now: noon,
	}
}

// version returns a version in which the user "u" has a record with the version's name.
func version(digest string) *delivery.Version {
	return &delivery.Version{Digest: digest, At: noon, Shards: []map[types.UID]string{{"u": digest}}}
}

// acks returns acknowledgments of two ready pods, some of which have loaded a digest.
func acks(digest string, acknowledged int) *ack.Result {
	return &ack.Result{Digest: digest, Ready: 2, Acknowledged: acknowledged}
}

// While pods have time to load what was delivered, what they lack is not reported; that time is limited.
func TestSettling(t *testing.T) {
	for name, tc := range map[string]struct {
		change             func(*findings)
		settling, complete bool
	}{
		"just delivered, not asked":       {func(*findings) {}, true, false},
		"pods are behind":                 {func(f *findings) { f.acks = acks("new", 1) }, true, false},
		"pods tell of the one before":     {func(f *findings) { f.acks = acks("old", 2) }, true, false},
		"all have it":                     {func(f *findings) { f.acks = acks("new", 2) }, false, true},
		"no pod is ready":                 {func(f *findings) { f.acks = &ack.Result{Digest: "new"} }, false, false},
		"time is nearly up":               {func(f *findings) { f.now = noon.Add(settleTime - 1) }, true, false},
		"time is up":                      {func(f *findings) { f.now = noon.Add(settleTime) }, false, false},
		"nothing was delivered":           {func(f *findings) { f.access.Delivered.Version = nil }, false, false},
		"nothing was delivered, and told": {func(f *findings) { f.access.Delivered.Version = nil; f.acks = acks("", 2) }, false, false},
	} {
		f := found()
		tc.change(f)
		if f.settling() != tc.settling || f.acknowledged() != tc.complete {
			t.Errorf("%s: settling %v, acknowledged %v", name, f.settling(), f.acknowledged())
		}
	}
	f := found()
	if f.access.Delivered.Version = nil; !f.settledAt().IsZero() {
		t.Error("nothing is settled at some time")
	}
}

// Users are not evaluated while pods are loading, but not forever, in case configurations are delivered all the time.
func TestWaits(t *testing.T) {
	f := found()
	if f.waits() {
		t.Error("it waits, and nothing was found yet that could stay")
	}
	f.memory.found = &outcome.Result{}
	steps := []struct {
		after time.Duration // since noon; a version is delivered each time
		want  bool
	}{
		{0, true},
		{time.Second, true},
		{settleTime - 1, true},
		{settleTime, false},
		{settleTime + 1, true},
		{2 * settleTime, true},
		{2*settleTime + 1, false},
		{time.Second, true}, // the clock was set back
		{time.Second + settleTime - 1, true},
		{time.Second + settleTime, false},
	}
	for i, s := range steps {
		f.now = noon.Add(s.after)
		v := version(strconv.Itoa(i))
		v.At = f.now
		f.access.Delivered.Version = v
		if got := f.waits(); got != s.want {
			t.Errorf("step %d: waits %v", i, got)
		}
	}
	f.waits()
	f.acks = acks(f.access.Delivered.Version.Digest, 2)
	if f.waits() || !f.memory.waiting.IsZero() {
		t.Error("it waits for pods that have everything")
	}
}

// That a newly started operator cannot know something does not mean that no pod could have it.
func TestUnknown(t *testing.T) {
	for name, tc := range map[string]struct {
		change         func(*findings)
		unknown, never bool
	}{
		"new, delivered":         {func(*findings) {}, false, false},
		"new, nothing delivered": {func(f *findings) { f.access.Delivered.Version = nil }, false, true},
		"new, a write failed":    {func(f *findings) { f.access.Delivered = delivery.Result{Err: errors.New("down")} }, false, false},
		"configured, not asked":  {func(f *findings) { f.listener.Status.ConfigDigest = "x" }, true, false},
		"configured, asked":      {func(f *findings) { f.listener.Status.ConfigDigest = "x"; f.acks = acks("new", 0) }, false, false},
		"configured, not delivered": {func(f *findings) {
			f.listener.Status.ConfigDigest = "x"
			f.access.Delivered.Version = nil
			f.acks = acks("", 0)
		}, true, false},
		"configured, and known":      {func(f *findings) { f.listener.Status.ConfigDigest = "x"; f.memory.history.Acknowledge(version("x")) }, false, false},
		"known, and nothing is left": {func(f *findings) { f.access.Delivered.Version = nil; f.memory.history.Acknowledge(version("x")) }, false, false},
	} {
		f := found()
		tc.change(f)
		if f.unknown() != tc.unknown || f.neverConfigured() != tc.never {
			t.Errorf("%s: unknown %v, never configured %v", name, f.unknown(), f.neverConfigured())
		}
	}
}

// Whether pods have a user's record is decided by their reports, or else by what they last had; a listener without a
// configuration has no pod that could let users in.
func TestLoaded(t *testing.T) {
	for name, tc := range map[string]struct {
		change   func(*findings)
		has, may bool
	}{
		"pods have it":         {func(f *findings) { f.acks = acks("new", 2); f.acks.Loaded = []string{"new", "new"} }, true, true},
		"one is behind":        {func(f *findings) { f.acks = acks("new", 1); f.acks.Loaded = []string{"new", "old"} }, false, true},
		"not asked":            {func(*findings) {}, false, true},
		"not asked, they had":  {func(f *findings) { f.memory.history.Acknowledge(version("new")) }, true, true},
		"never configured":     {func(f *findings) { f.access.Delivered.Version = nil }, false, false},
		"no pod, and asked":    {func(f *findings) { f.acks = &ack.Result{} }, false, false},
		"configured by others": {func(f *findings) { f.access.Delivered.Version = nil; f.listener.Status.ConfigDigest = "x" }, false, true},
	} {
		f := found()
		f.memory.history.Note(version("old"))
		f.memory.history.Note(version("new"))
		tc.change(f)
		if got := f.loaded().Has("u", "new"); got != tc.has {
			t.Errorf("%s: has it %v", name, got)
		}
		if lacks := f.loaded().Lacks("u"); lacks == tc.may {
			t.Errorf("%s: surely nothing of it is left: %v", name, lacks)
		}
	}
}

func seconds(t *testing.T, registry *prometheus.Registry) (count uint64, sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				count, sum = count+h.GetSampleCount(), sum+h.GetSampleSum()
			}
		}
	}
	return count, sum
}

// What every pod has loaded is recorded, and how long it took is measured once for each version.
func TestNoteAcknowledged(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Metrics: metrics}
	f := found()
	f.acks = acks("new", 1)
	f.acks.Began, f.acks.Completed = noon, noon.Add(3*time.Second)
	if r.noteAcknowledged(f); f.memory.history.Known() {
		t.Error("one pod of two is enough")
	}
	f.acks.Acknowledged = 2
	for range 3 {
		r.noteAcknowledged(f)
	}
	if n, sum := seconds(t, registry); !f.memory.history.Known() || n != 1 || sum != 3 {
		t.Errorf("known %v, %d measurements, %v seconds", f.memory.history.Known(), n, sum)
	}
	for _, times := range [][2]time.Time{{{}, noon}, {noon, {}}} { // another operator has written it, or loading has not finished
		f.access.Delivered.Version = version(fmt.Sprint(times))
		f.acks = acks(f.access.Delivered.Version.Digest, 2)
		f.acks.Began, f.acks.Completed = times[0], times[1]
		r.noteAcknowledged(f)
	}
	if n, _ := seconds(t, registry); n != 1 || f.memory.observed != f.access.Delivered.Version.Digest {
		t.Errorf("%d measurements", n)
	}
	// A previous operator saw it acknowledged; this counts only if it is the same, and nothing newer is known.
	for digest, want := range map[string]bool{"new": true, "other": false} {
		f := found()
		f.listener.Status.ConfigDigest = digest
		if r.noteAcknowledged(f); f.memory.history.Known() != want {
			t.Errorf("%s in the status: known %v", digest, !want)
		}
	}
	f = found()
	f.access.Delivered.Version = nil
	f.listener.Status.ConfigDigest = ""
	if r.noteAcknowledged(f); f.memory.history.Known() {
		t.Error("nothing was delivered, and is acknowledged")
	}
	f = found()
	f.memory.history.Note(version("newer"))
	f.memory.history.Acknowledge(version("newer"))
	f.listener.Status.ConfigDigest = "new"
	if r.noteAcknowledged(f); !f.loaded().Has("u", "newer") {
		t.Error("what pods have is forgotten for what they had before")
	}
}

// Sessions are counted for the status every five minutes, even when the clock is set back.
func TestRecount(t *testing.T) {
	f := found()
	for i, tc := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {1, false}, {5*time.Minute - 1, false}, {5 * time.Minute, true}, {6 * time.Minute, false}, {time.Minute, false}, {0, true}, {4 * time.Minute, false},
	} {
		f.now = noon.Add(tc.after)
		if got := f.recount(); got != tc.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

// Host keys are those that this reconcile has decided on; until then, or if there are none, those of the status.
func TestCurrentHostKeys(t *testing.T) {
	f := found()
	f.listener.Status.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "status"}}
	decided := []v1alpha1.HostKeyStatus{{Fingerprint: "decided"}}
	for name, tc := range map[string]struct {
		res  *hostkeys.Result
		want string
	}{
		"not decided": {nil, "status"},
		"none":        {&hostkeys.Result{Status: decided}, "status"},
		"decided":     {&hostkeys.Result{Status: decided, Keys: []hostkey.Held{{}}}, "decided"},
	} {
		f.hostKeys = tc.res
		if got := f.currentHostKeys(); len(got) != 1 || got[0].Fingerprint != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A step that panics results in an error of its own that quotes nothing, and each step has a deadline.
func TestStep(t *testing.T) {
	r := &Reconciler{}
	err := r.step(t.Context(), "look at users", func(context.Context) error { panic("secret content") })
	if err == nil || err.Error() != "look at users: internal error" {
		t.Errorf("%v", err)
	}
	down := errors.New("down")
	if err := r.step(t.Context(), "s", func(context.Context) error { return down }); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	if err := r.step(t.Context(), "s", func(ctx context.Context) error {
		if at, ok := ctx.Deadline(); !ok || time.Until(at) > 20*time.Second || time.Until(at) < 10*time.Second {
			return fmt.Errorf("until %s", at)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	f := found()
	f.hostKeysErr, f.usersErr = errors.New("host keys"), errors.New("users")
	f.volumes.Err, f.workload.Err = errors.New("volumes"), errors.New("workload")
	for _, want := range []string{"host keys", "users", "volumes", "workload"} {
		if !strings.Contains(f.err().Error(), want) {
			t.Errorf("%v: lacks that of %s", f.err(), want)
		}
	}
}

// A status patch applies to this listener, and not to one recreated under its name.
func TestStatusPatch(t *testing.T) {
	l := found().listener
	l.Status.ConfigDigest = "d"
	p, err := statusPatch(l)
	if err != nil || p.Type() != types.JSONPatchType {
		t.Fatal(err)
	}
	data, err := p.Data(l)
	if want := `[{"op":"test","path":"/metadata/uid","value":"l"},{"op":"add","path":"/status","value":{`; err != nil || !strings.HasPrefix(string(data), want) || !strings.Contains(string(data), `"configDigest":"d"`) {
		t.Errorf("%s, %v", data, err)
	}
}

// A listener is reconciled for a change to a host key, but not for a change that only updates its last use.
func TestHostKeyChanged(t *testing.T) {
	base := func() *v1alpha1.SFTPKey {
		return &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Name: "k", Generation: 1, ResourceVersion: "1"},
			Status: v1alpha1.SFTPKeyStatus{
				PublicKey:  "p",
				Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "r", Message: "m"}},
			},
		}
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.SFTPKey)
		want   bool
	}{
		"nothing":         {func(*v1alpha1.SFTPKey) {}, false},
		"a message":       {func(k *v1alpha1.SFTPKey) { k.Status.Conditions[0].Message = "x"; k.ResourceVersion = "2" }, false},
		"another reason":  {func(k *v1alpha1.SFTPKey) { k.Status.Conditions[0].Reason = "x" }, true},
		"another status":  {func(k *v1alpha1.SFTPKey) { k.Status.Conditions[0].Status = metav1.ConditionFalse }, true},
		"no condition":    {func(k *v1alpha1.SFTPKey) { k.Status.Conditions = nil }, true},
		"another kind":    {func(k *v1alpha1.SFTPKey) { k.Status.Conditions[0].Type = "x" }, true},
		"the spec":        {func(k *v1alpha1.SFTPKey) { k.Generation = 2 }, true},
		"the key":         {func(k *v1alpha1.SFTPKey) { k.Status.PublicKey = "x" }, true},
		"a retiring pair": {func(k *v1alpha1.SFTPKey) { k.Status.Retiring = append(k.Status.Retiring, v1alpha1.RetiringKey{}) }, true},
		"a deletion":      {func(k *v1alpha1.SFTPKey) { k.DeletionTimestamp = new(metav1.NewTime(noon)) }, true},
	} {
		after := base()
		tc.change(after)
		for _, e := range []event.UpdateEvent{{ObjectOld: base(), ObjectNew: after}, {ObjectOld: after, ObjectNew: base()}} {
			if got := hostKeyChanged().Update(e); got != tc.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	if hostKeyChanged().Update(event.UpdateEvent{ObjectOld: base(), ObjectNew: &v1alpha1.SFTPUser{}}) ||
		!hostKeyChanged().Create(event.CreateEvent{Object: base()}) || !hostKeyChanged().Delete(event.DeleteEvent{Object: base()}) {
		t.Error("an event of another kind")
	}
}

func TestRequests(t *testing.T) {
	name := types.NamespacedName{Namespace: "team", Name: "partners"}
	if got := requests([]types.NamespacedName{name}); len(got) != 1 || got[0].NamespacedName != name || requests(nil) == nil {
		t.Errorf("%v", got)
	}
}
