package render

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// SelectsUsers reports whether a sink selects users by their labels. Then the pods choose its users, by their records. The names
// of users and namespaces need no records: the relay chooses by them.
func SelectsUsers(s *v1alpha1.EventSink) bool {
	return slices.ContainsFunc(s.Users, func(u v1alpha1.EventUserReference) bool { return u.Selector != nil })
}

// UsesLabels reports whether records of users depend on their labels.
func UsesLabels(l *v1alpha1.SFTPListener) bool {
	return l.Spec.Events != nil && slices.ContainsFunc(l.Spec.Events.Sinks, func(s v1alpha1.EventSink) bool { return SelectsUsers(&s) })
}

// EventSinksOf returns the names of the sinks with selectors that get a user's events.
//
// The user's labels do not belong to the listener's owner: another tenant may write them. A selector therefore never reaches
// beyond the namespace that the listener's owner names next to it.
func EventSinksOf(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) (names []string) {
	if !UsesLabels(l) {
		return nil
	}
	for i := range l.Spec.Events.Sinks {
		s := &l.Spec.Events.Sinks[i]
		if SelectsUsers(s) && slices.ContainsFunc(s.Users, func(ref v1alpha1.EventUserReference) bool { return refersTo(l, ref, u) }) {
			names = append(names, s.Name)
		}
	}
	return names
}

func refersTo(l *v1alpha1.SFTPListener, ref v1alpha1.EventUserReference, u *v1alpha1.SFTPUser) bool {
	if cmp.Or(ref.Namespace, l.Namespace) != u.Namespace || ref.Name != "" && ref.Name != u.Name {
		return false
	}
	if ref.Selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(ref.Selector.LabelSelector())
	return err == nil && s.Matches(labels.Set(u.Labels)) // one that cannot be used selects none, and holds the sink
}
