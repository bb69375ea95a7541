package listener

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// tokenAsker answers each pod's token with a proof of the pod's name, and counts questions.
type tokenAsker struct {
	ack.Asker
	tokens map[string]string

	mu    sync.Mutex
	asked map[string]int
}

func (a *tokenAsker) KeyUse(_ context.Context, pod *corev1.Pod, token string, _ config.KeyUseReport) (config.KeyUseReport, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[pod.Name]++
	if token != a.tokens[pod.Name] {
		return config.KeyUseReport{}, errors.New("401 Unauthorized")
	}
	return config.KeyUseReport{HostKeyProofs: []config.HostKeyProof{{UID: "u", Fingerprint: pod.Name}, {UID: "other", Fingerprint: pod.Name}}}, nil
}

// A pod that is about to end gets no configuration any more, and so asks for the token of the host key before.
func TestEndingPodsAreAskedWithTheFormerToken(t *testing.T) {
	token := func(key string) string { return config.StatusToken([][]byte{[]byte(key)}) }
	a := &tokenAsker{tokens: map[string]string{"ending": token("old"), "late": token("old"), "new": token("new")}, asked: map[string]int{}}
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners"}}
	l.Status.HostKeys = []v1alpha1.HostKeyStatus{{Fingerprint: "ending"}, {Fingerprint: "new"}, {Fingerprint: "late"}}
	b := fake.NewClientBuilder()
	for name := range a.tokens {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Labels: render.Labels(l)},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		}
		if name == "ending" {
			p.DeletionTimestamp, p.Finalizers = new(metav1.Now()), []string{"test/held"}
		}
		b = b.WithObjects(p)
	}
	s := &scope{
		Reconciler: &Reconciler{Client: b.Build(), Asker: a, Now: time.Now},
		listener:   l,
		memory:     newMemory("l"),
		decisions: []attach.Decision{{
			User: &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{UID: "u"}}, Reason: v1alpha1.ReasonAccepted,
		}},
		credentials: map[types.UID]credentials.Credentials{},
	}
	s.memory.hostKeys, s.memory.tokens = []render.PrivateHostKey{{Private: []byte("new")}}, [2]string{token("old")}
	s.Poller = &poll.Poller{Client: s.Client, Asker: a, Now: time.Now}
	if s.learnKeyUse() {
		t.Error("reports before anybody was asked")
	}
	if err := s.tellPoller(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	if s.retry != poll.Interval {
		t.Errorf("the next reconcile of a listener that is not as it should be comes after %s", s.retry)
	}
	if _, err := s.Poller.Reconcile(t.Context(), ctrl.Request{NamespacedName: s.name()}); err != nil {
		t.Fatal(err)
	}
	if !s.learnKeyUse() || s.learnKeyUse() {
		t.Error("reports are not merged once")
	}
	proved := s.memory.proved["u"]
	if len(s.memory.proved) != 1 || len(proved) != 2 || !proved["ending"] || !proved["new"] {
		t.Errorf("proofs %v, want those of the pods that answer, of the user that there is", s.memory.proved)
	}
	if a.asked["ending"] != 2 || a.asked["late"] != 1 || a.asked["new"] != 1 {
		t.Errorf("questions %v", a.asked)
	}
	l.Status.HostKeys = l.Status.HostKeys[1:2]
	if got := s.provedHostKeys(s.decisions[0].User); len(got) != 1 || got[0] != "new" {
		t.Errorf("proofs %v, want none of a key that is gone", got)
	}
}

// A listener that is as it is meant to be is not looked at again by the minute. One of which something is not known, or whose
// pods a roll-out waits to replace, is.
func TestAtRest(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*scope)
		whole  bool
		want   time.Duration
	}{
		"at rest":                  {func(*scope) {}, true, 0},
		"a phase failed":           {func(*scope) {}, false, poll.Interval},
		"not accepted":             {func(s *scope) { s.accepted.Status = metav1.ConditionFalse }, true, poll.Interval},
		"something is missing":     {func(s *scope) { s.resolved.Status = metav1.ConditionFalse }, true, poll.Interval},
		"an object was refused":    {func(s *scope) { s.programmed.Status = metav1.ConditionFalse }, true, poll.Interval},
		"a pod is behind":          {func(s *scope) { s.acked = false }, true, poll.Interval},
		"a roll-out waits":         {func(s *scope) { s.pending = &v1alpha1.ListenerPendingRestart{} }, true, poll.Interval},
		"users were not looked at": {func(s *scope) { s.credentials = nil }, true, 0}, // the phase that failed says when to try again
	} {
		t.Run(name, func(t *testing.T) {
			l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners"}}
			p := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", Labels: render.Labels(l)},
				Status: corev1.PodStatus{
					Phase: corev1.PodRunning, PodIP: "192.0.2.1", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
				},
			}
			yes := metav1.Condition{Status: metav1.ConditionTrue}
			s := &scope{
				Reconciler: &Reconciler{Client: fake.NewClientBuilder().WithObjects(p).Build(), Poller: &poll.Poller{Now: time.Now}, Now: time.Now},
				listener:   l, memory: newMemory("l"), credentials: map[types.UID]credentials.Credentials{},
				accepted: yes, resolved: yes, programmed: yes, acked: true,
			}
			s.memory.hostKeys = []render.PrivateHostKey{{Private: []byte("key")}}
			tc.change(s)
			if err := s.tellPoller(t.Context(), false, tc.whole); err != nil {
				t.Fatal(err)
			}
			if s.retry != tc.want {
				t.Errorf("looked at again after %s, want %s", s.retry, tc.want)
			}
		})
	}
}
