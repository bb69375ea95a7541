package attach

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Admitting returns those of the listeners whose rules admit a namespace, as namespace/name, sorted. namespaceLabels are the
// namespace's labels.
func Admitting(listeners []v1alpha1.SFTPListener, namespace string, namespaceLabels map[string]string) []string {
	labelsOf := map[string]map[string]string{namespace: namespaceLabels}
	var out []string
	for i := range listeners {
		l := &listeners[i]
		if l.DeletionTimestamp.IsZero() && newRules(l).of(namespace, labelsOf) != noRule {
			out = append(out, l.Namespace+"/"+l.Name)
		}
	}
	slices.Sort(out)
	return out
}
