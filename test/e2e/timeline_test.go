package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// timeline records how a change goes through the API server on its way to the pods of a namespace, to separate the operator's
// time from the kubelet's.
type timeline struct {
	mu sync.Mutex
	// written is when the last Secret of the configuration changed, and told is when the last pod was annotated with a new
	// digest. mu guards all of them.
	written, told time.Time
	digests       map[string]string
	// pokes has all changes to annotations by which pods were notified.
	pokes []time.Time
	poked map[string]string
}

func watchTimeline(t *testing.T, ns string) *timeline {
	t.Helper()
	l := &timeline{digests: map[string]string{}, poked: map[string]string{}}
	for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.PodList{}} {
		w, err := kube.Watch(t.Context(), list, client.InNamespace(ns), client.HasLabels{v1alpha1.LabelListener})
		must(t, err)
		t.Cleanup(w.Stop)
		go func() {
			for e := range w.ResultChan() {
				l.note(e)
			}
		}()
	}
	return l
}

func (l *timeline) note(e watch.Event) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch o := e.Object.(type) {
	case *corev1.Secret:
		if e.Type == watch.Modified && (strings.HasSuffix(o.Name, "-config") || strings.Contains(o.Name, "-users-")) {
			l.written = now
		}
	case *corev1.Pod:
		if digest := o.Annotations[v1alpha1.AnnotationConfigDigest]; digest != l.digests[o.Name] {
			l.digests[o.Name] = digest
			l.told = now
		}
		if poke := o.Annotations[v1alpha1.AnnotationSyncRequested]; poke != l.poked[o.Name] {
			l.poked[o.Name] = poke
			l.pokes = append(l.pokes, now)
		}
	}
}

func (l *timeline) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written, l.told, l.pokes = time.Time{}, time.Time{}, nil
}

// slow describes a change that took a long time.
func (l *timeline) slow(start time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	pokes := make([]int64, len(l.pokes))
	for i, p := range l.pokes {
		pokes[i] = p.Sub(start).Milliseconds()
	}
	return fmt.Sprintf("Secrets written after %d ms, pods annotated after %d ms", l.written.Sub(start).Milliseconds(), pokes)
}

// since returns how long after start the last Secret was written and the last pod was notified, or 0 if that has not happened.
func (l *timeline) since(start time.Time) (written, told time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written.IsZero() || l.told.IsZero() {
		return 0, 0
	}
	return l.written.Sub(start), l.told.Sub(start)
}
