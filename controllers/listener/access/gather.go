package access

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// gather collects what a configuration is compiled from, and records the references to Secrets in refs. It cannot fail:
// everything is in memory.
func (r *Reconciler) gather(
	l *v1alpha1.SFTPListener, m *memory, policy render.Policy, now time.Time,
) (in compile.Input, refs map[credentials.Ref]bool) {
	name := client.ObjectKeyFromObject(l)
	users := r.Users.Of(name)
	in = compile.Input{
		Listener: l, Users: users, VolumePath: render.PodVolumePath, Now: now,
		Seats: m.last.Seats, Previous: m.last.Slots, Settings: m.settings(), Delivered: m.lines.Get,
	}
	if attach.UsesLabels(l) {
		in.NamespaceLabels = map[string]map[string]string{}
		for _, u := range users {
			if _, ok := in.NamespaceLabels[u.Namespace]; !ok {
				in.NamespaceLabels[u.Namespace] = r.Namespaces.Labels(u.Namespace)
			}
		}
	}
	refs = map[credentials.Ref]bool{}
	t := r.resolveTrust(l, m, policy, refs)
	in.Trust, in.TrustProblems = t.Trust, t.found
	keyring := r.keyrings()
	in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
		return credentials.Resolve(u, keyring(u.Namespace), func(ref credentials.Ref) credentials.Entry {
			e, _ := r.Entries.Get(name, ref)
			return e
		})
	}
	// The knowledge about an entry may change while this runs. Then it has a new mark, and the listener is woken: an outdated
	// stamp costs another reconcile.
	in.Stamp = func(u *v1alpha1.SFTPUser) (compile.Stamp, bool) {
		s := compile.Stamp{Keys: keyring(u.Namespace).Stamp()}
		if !credentials.HasRefs(u) {
			return s, true
		}
		sum := fnv.New64a()
		for _, ref := range credentials.Refs(u) {
			refs[ref] = true
			_, mark := r.Entries.Get(name, ref)
			_ = binary.Write(sum, binary.LittleEndian, mark) // a hash never fails
		}
		s.Entries = sum.Sum64()
		return s, true
	}
	return in, refs
}

// keyrings returns the SFTPKeys of namespaces, always the same ones. Users are sorted by namespace.
func (r *Reconciler) keyrings() func(namespace string) *key.Keyring {
	keyrings := map[string]*key.Keyring{}
	var last string
	var keyring *key.Keyring
	return func(namespace string) *key.Keyring {
		if namespace == last && namespace != "" {
			return keyring
		}
		k, ok := keyrings[namespace]
		if !ok {
			k = r.Keys.Keyring(namespace)
			keyrings[namespace] = k
		}
		last, keyring = namespace, k
		return k
	}
}

// settings returns the last delivered ones, nil if there are none.
func (m *memory) settings() *config.Listener {
	if m.last.Files.Digest == "" {
		return m.recalled.settings
	}
	return &m.last.Settings
}

// seed gives the background reader what an earlier operator delivered, so that equal passwords keep their hashes and no user
// is logged out before the Secrets have been read again.
func (r *Reconciler) seed(l *v1alpha1.SFTPListener, old recalled) {
	name := client.ObjectKeyFromObject(l)
	r.Entries.Seed(old.Passwords)
	for _, u := range r.Users.Of(name) {
		before, ok := old.users[string(u.UID)]
		if !ok {
			continue
		}
		for _, ref := range credentials.Refs(u) {
			if e, ok := credentials.Seed(ref, u, before); ok {
				r.Entries.Deliver(ref, e)
			}
		}
	}
}
