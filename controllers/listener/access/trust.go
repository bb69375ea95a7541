package access

import (
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// trust is the result for a listener's CAs and revoked keys, and what it was computed from.
type trust struct {
	generation int64
	policy     v1alpha1.CryptoPolicy
	marks      []uint64

	render.Trust
	found      []credentials.Problem
	unreadable []string
	// known is set once the rest has been computed.
	known bool
}

// resolveTrust determines what the listener trusts and what it has revoked. Lists in Secrets are read in the background;
// until a new version has been read, the last one counts.
func (r *Reconciler) resolveTrust(l *v1alpha1.SFTPListener, m *memory, policy render.Policy, refs map[credentials.Ref]bool) *trust {
	name := client.ObjectKeyFromObject(l)
	files := map[v1alpha1.SecretFileReference]credentials.Entry{}
	var marks []uint64
	var unreadable []string
	for _, list := range [][]v1alpha1.SecretFileReference{l.Spec.RevokedKeysSecretRefs, l.Spec.Authentication.TrustedUserCAsSecretRefs} {
		for _, file := range list {
			ref := credentials.Ref{Namespace: l.Namespace, Secret: file.Name, Entry: file.Key, Kind: credentials.KindFile}
			refs[ref] = true
			e, mark := r.Entries.Get(name, ref)
			files[file] = e
			marks = append(marks, mark)
			if e.Failure != "" {
				unreadable = append(unreadable, fmt.Sprintf("Secret %q cannot be read: %s", file.Name, e.Failure))
			}
		}
	}
	if t := &m.trust; t.known && t.generation == l.Generation && t.policy == policy.Name && slices.Equal(t.marks, marks) {
		return t
	}
	t := trust{generation: l.Generation, policy: policy.Name, marks: marks, unreadable: unreadable, known: true}
	previous := m.recalled.trust
	if m.trust.known && !m.trust.Unknown {
		previous = &m.trust.Trust
	}
	t.Trust, t.found = render.ResolveTrust(l, policy.Policy, func(ref v1alpha1.SecretFileReference) render.SecretFile {
		return secretFile(files[ref])
	}, previous)
	m.trust = t
	return &m.trust
}

// secretFile returns an entry as a file that a listener refers to.
func secretFile(e credentials.Entry) render.SecretFile {
	switch {
	case e.Problem != nil && e.Problem.Reason == v1alpha1.ReasonSecretNotFound:
		return render.SecretFile{NoSecret: true}
	case e.Problem != nil:
		return render.SecretFile{NoEntry: true}
	case !e.Known:
		return render.SecretFile{Unread: true}
	}
	return render.SecretFile{Data: e.Data}
}
