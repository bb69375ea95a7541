package user

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

const (
	// maxSuggested bounds the listeners in a condition.
	maxSuggested = 5
	// suggestInterval is how often a refused user's suggestion is updated. Changes to listeners do not trigger an update: their
	// owners could have the statuses of all refused users written as often as they like.
	suggestInterval = 10 * time.Minute
	// suggestionTTL is how long the listeners that admit a namespace are remembered, however many users it has.
	suggestionTTL = 5 * time.Second
)

// suggestions remembers which listeners admit a namespace.
type suggestions struct {
	mu sync.Mutex
	of map[string]admission // mu guards it
}

// admission has the listeners that admit a namespace, sorted, as of a time.
type admission struct {
	names []string
	at    time.Time
}

// get returns what is known about a namespace, unless that is too old; then it is dropped.
func (s *suggestions) get(namespace string, now time.Time) (names []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.of[namespace]
	if ok && now.Sub(a.at).Abs() < suggestionTTL {
		return a.names, true
	}
	for ns, a := range s.of {
		if now.Sub(a.at).Abs() >= suggestionTTL {
			delete(s.of, ns)
		}
	}
	return nil, false
}

func (s *suggestions) set(namespace string, names []string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]admission{}
	}
	s.of[namespace] = admission{names, now}
}

// refused reports whether a condition says that a user names a listener that does not exist, or does not admit its namespace.
func refused(c metav1.Condition) bool {
	return c.Status == metav1.ConditionFalse && (c.Reason == v1alpha1.ReasonListenerNotFound || c.Reason == v1alpha1.ReasonNotAllowedByListener)
}

// suggest adds to the conditions of a refused user which listeners admit its namespace, and returns when to do so again. Its owner
// usually may not read listeners of other namespaces, and so has no other way to find the right name.
func (r *Reconciler) suggest(ctx context.Context, u *v1alpha1.SFTPUser, list []metav1.Condition, now time.Time) ([]metav1.Condition, time.Duration) {
	if !slices.ContainsFunc(list, refused) {
		return list, 0
	}
	interval := r.SuggestInterval
	if interval == 0 {
		interval = suggestInterval
	}
	again := interval + rand.N(interval/5) //nolint:gosec // this only spreads the work
	names, err := r.admitting(ctx, u.Namespace, now)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot find out which listeners admit a namespace", "namespace", u.Namespace)
		return list, again
	}
	text := sentence(u, names)
	out := slices.Clone(list) // the OutcomeStore has the same one
	for i := range out {
		if refused(out[i]) {
			out[i].Message += ". " + text
		}
	}
	return out, again
}

// admitting returns the listeners that admit a namespace, sorted.
func (r *Reconciler) admitting(ctx context.Context, namespace string, now time.Time) ([]string, error) {
	if names, ok := r.suggestions.get(namespace, now); ok {
		return names, nil
	}
	var listeners v1alpha1.SFTPListenerList
	// They are only read, and there may be a thousand.
	if err := r.Client.List(ctx, &listeners, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var ns metav1.PartialObjectMetadata // of namespaces only the metadata is cached
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if slices.ContainsFunc(listeners.Items, func(l v1alpha1.SFTPListener) bool { return attach.UsesLabels(&l) }) {
		if err := r.Client.Get(ctx, types.NamespacedName{Name: namespace}, &ns); err != nil {
			return nil, err
		}
	}
	names := attach.Admitting(listeners.Items, namespace, ns.Labels)
	r.suggestions.set(namespace, names, now)
	return names, nil
}

// sentence lists the listeners that admit the namespace of a user: first those with the name that it asks for, and then
// those of its own namespace. The others may have been created by anyone.
func sentence(u *v1alpha1.SFTPUser, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("No listener admits namespace %q", u.Namespace)
	}
	rank := func(name string) int {
		ns, name, _ := strings.Cut(name, "/")
		switch {
		case name == u.Spec.ListenerRef.Name:
			return 0
		case ns == u.Namespace:
			return 1
		}
		return 2
	}
	names = slices.Clone(names) // other users have the same one
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	more := ""
	if n := len(names) - maxSuggested; n > 0 {
		names, more = names[:maxSuggested], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("Listeners that admit namespace %q: %s%s", u.Namespace, strings.Join(names, ", "), more)
}
