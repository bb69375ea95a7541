package offline

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// source resolves credentials from the manifests. Each entry is read, and each password
// hashed, once, and only if an accepted user refers to it.
func (m *Manifests) source(users []*v1alpha1.SFTPUser, prev Previous) compile.Resolver {
	keyrings := map[string]*key.Keyring{}
	entries := map[credentials.Ref]credentials.Entry{}
	hashes := previousHashes(users, prev)
	return compile.Resolver{
		Keyring: func(namespace string) *key.Keyring {
			if keyrings[namespace] == nil {
				keyrings[namespace] = m.keyring(namespace)
			}
			return keyrings[namespace]
		},
		Entry: func(ref credentials.Ref) credentials.Entry {
			e, ok := entries[ref]
			if ok {
				return e
			}
			secret := m.Secrets[types.NamespacedName{Namespace: ref.Namespace, Name: ref.Secret}]
			e, err := credentials.Read(ref, secret, func(data []byte, source string) (*config.Password, error) {
				return credentials.Hash(data, source, verified(hashes[ref], data))
			})
			if err != nil {
				e = credentials.Entry{Known: true, Failure: err.Error()}
			}
			entries[ref] = e
			return e
		},
	}
}

// previousHashes returns the hashes that an earlier run made of clear-text passwords.
func previousHashes(users []*v1alpha1.SFTPUser, prev Previous) map[credentials.Ref][]*config.Password {
	out := map[credentials.Ref][]*config.Password{}
	for _, u := range users {
		p := prev.Passwords[string(u.UID)]
		if p == nil {
			continue
		}
		for _, ref := range credentials.Refs(u) {
			// Users that share an entry share its hash, unless they did not share the entry in the earlier run.
			if known := out[ref]; ref.Kind == credentials.KindPassword && (len(known) == 0 || known[len(known)-1].Hash != p.Hash) {
				out[ref] = append(known, p)
			}
		}
	}
	return out
}

// verified returns the first of several hashes that matches a password, nil if none does.
func verified(hashes []*config.Password, data []byte) *config.Password {
	for _, p := range hashes {
		if h, err := password.Parse(p.Hash); err == nil && h.Verify(data) {
			return p
		}
	}
	return nil
}

// keyring returns the SFTPKeys of a namespace, with the statuses that the operator would write.
func (m *Manifests) keyring(namespace string) *key.Keyring {
	var keys []v1alpha1.SFTPKey
	for name, k := range m.Keys {
		if name.Namespace != namespace {
			continue
		}
		k = k.DeepCopy()
		v := key.Decide(k, m.Secrets[types.NamespacedName{Namespace: namespace, Name: key.SecretName(k)}])
		k.Status = v1alpha1.SFTPKeyStatus{}
		if v.Material.Public != nil {
			k.Status.PublicKey = v.Material.Line()
			conditions.Set(&k.Status.Conditions, k.Generation, v.Condition)
		}
		keys = append(keys, *k)
	}
	return key.NewKeyring(keys)
}

// secretFile finds files in the Secrets of a namespace.
func (m *Manifests) secretFile(namespace string) func(v1alpha1.SecretFileReference) render.SecretFile {
	return func(ref v1alpha1.SecretFileReference) render.SecretFile {
		secret, ok := m.Secrets[types.NamespacedName{Namespace: namespace, Name: ref.Name}]
		if !ok {
			return render.SecretFile{NoSecret: true}
		}
		data, ok := secret.Data[ref.Key]
		return render.SecretFile{NoEntry: !ok, Data: data}
	}
}
