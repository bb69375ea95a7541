package offline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// Finding is something that a condition would say in the cluster.
type Finding struct {
	// Object is the kind, namespace and name.
	Object string
	// Reason and Message of the condition.
	Reason, Message string
	// Missing says that it is only about an object that the manifests do not contain, as
	// Secrets mostly are not in Git.
	Missing bool
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Object, f.Reason, f.Message) }

// Previous is what an earlier run rendered for a listener; it keeps hashes and host keys
// the same, and revoked what a list that is missing now had.
type Previous struct {
	Revoked   *config.Revoked
	Passwords map[string]*config.Password
	HostKeys  [][]byte
}

// Render decides about one listener and its users, and renders the configuration.
// volumePath says where volumes are.
func (m *Manifests) Render(ctx context.Context, l *v1alpha1.SFTPListener, prev Previous, now time.Time,
	volumePath func(string) string,
) (render.Files, []Finding, error) {
	var findings []Finding
	listener := "SFTPListener " + client.ObjectKeyFromObject(l).String()
	policy := render.PolicyAt(l, now)
	hostKeys, found, err := m.hostKeys(l, prev, policy)
	if err != nil {
		return render.Files{}, nil, err
	}
	findings = append(findings, found...)
	if warning := policy.Warning(l); warning != "" {
		findings = append(findings, Finding{Object: listener, Reason: v1alpha1.ReasonCryptoPolicyExpired, Message: warning})
	}

	trust, problems := render.ResolveTrust(l, policy.Policy, m.secretFile(l.Namespace), prev.Revoked)
	for _, p := range problems {
		findings = append(findings, Finding{Object: listener, Reason: p.Reason, Message: p.Message, Missing: p.Reason == v1alpha1.ReasonSecretNotFound})
	}

	rules := credentials.NewRules(policy.Policy, trust.Revoked, render.MinPasswordLength(l))
	rules.NoUserCA = len(trust.UserCAs) == 0
	decisions, _ := attach.Decide(attach.Input{Listener: l, Users: m.usersOf(l), NamespaceLabels: m.Namespaces, Now: now})
	var records []shard.Record
	for _, d := range decisions {
		object := "SFTPUser " + client.ObjectKeyFromObject(d.User).String()
		if !d.Accepted() {
			if d.Reason != v1alpha1.ReasonSuspended && d.Reason != v1alpha1.ReasonExpired {
				findings = append(findings, Finding{Object: object, Reason: d.Reason, Message: d.Message})
			}
			continue
		}
		c, err := credentials.ResolveFrom(ctx, m, d.User, prev.Passwords[string(d.User.UID)])
		if err != nil {
			return render.Files{}, nil, err
		}
		c = render.Suited(l, d.User, c, rules)
		for _, p := range c.Problems {
			missing := p.Reason == v1alpha1.ReasonSecretNotFound || p.Reason == v1alpha1.ReasonKeyNotFound
			findings = append(findings, Finding{Object: object, Reason: p.Reason, Message: p.Message, Missing: missing})
		}
		if c.CanLogIn() {
			records = append(records, shard.Record{User: render.UserRecord(l, d, c), Seniority: d.User.CreationTimestamp.Unix()})
		}
	}
	shards, left, err := shard.Build(records, shard.Count(attach.MaxUsers(l)))
	if err != nil {
		return render.Files{}, nil, err
	}
	for uid := range left {
		findings = append(findings, Finding{Object: "SFTPUser " + uid, Reason: v1alpha1.ReasonListenerFull, Message: "The records of the listener's users do not fit; raise maxUsers"})
	}
	if len(hostKeys) == 0 || trust.Unknown {
		return render.Files{}, findings, nil
	}
	files, err := render.Configuration(render.Settings(l, trust, volumePath), hostKeys, shards)
	return files, findings, err
}

// Unattached returns a finding for each user that names no listener of the manifests.
func (m *Manifests) Unattached() []Finding {
	known := map[types.NamespacedName]bool{}
	for i := range m.Listeners {
		known[client.ObjectKeyFromObject(&m.Listeners[i])] = true
	}
	var out []Finding
	for i := range m.Users {
		u := &m.Users[i]
		if l := user.ListenerOf(u); !known[l] {
			out = append(out, Finding{
				Object:  "SFTPUser " + client.ObjectKeyFromObject(u).String(),
				Reason:  v1alpha1.ReasonListenerNotFound,
				Message: fmt.Sprintf("SFTPListener %q in namespace %q is not in the manifests", l.Name, l.Namespace),
				Missing: true,
			})
		}
	}
	return out
}

func (m *Manifests) usersOf(l *v1alpha1.SFTPListener) []v1alpha1.SFTPUser {
	var out []v1alpha1.SFTPUser
	for i := range m.Users {
		if user.ListenerOf(&m.Users[i]) == client.ObjectKeyFromObject(l) {
			out = append(out, m.Users[i])
		}
	}
	return out
}

// hostKeys are those of the Secrets in the manifests. One that the operator would
// generate is taken from the previous run, or made.
func (m *Manifests) hostKeys(l *v1alpha1.SFTPListener, prev Previous, policy render.Policy) ([]render.PrivateHostKey, []Finding, error) {
	object := "SFTPListener " + client.ObjectKeyFromObject(l).String()
	keys := []*v1alpha1.SFTPKey{}
	for _, ref := range l.Spec.HostKeyRefs {
		k, ok := m.Keys[types.NamespacedName{Namespace: l.Namespace, Name: ref.Name}]
		if !ok {
			return nil, []Finding{{
				Object: object, Reason: v1alpha1.ReasonHostKeyNotFound, Missing: true,
				Message: fmt.Sprintf("SFTPKey %q of spec.hostKeyRefs is not in the manifests", ref.Name),
			}}, nil
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		keys = append(keys, render.HostKey(l))
	}
	var out []render.PrivateHostKey
	var findings []Finding
	seen := map[string]bool{}
	for i, k := range keys {
		v := key.Decide(k, m.Secrets[types.NamespacedName{Namespace: k.Namespace, Name: key.SecretName(k)}])
		material := v.Material
		var err error
		switch {
		case v.Generate && i < len(prev.HostKeys):
			material, err = key.Parse(map[string][]byte{key.PrivateEntry: prev.HostKeys[i]}, v1alpha1.KeyUsageHost)
		case v.Generate:
			material, err = key.Generate(k.Spec.Algorithm, k.Namespace+"/"+k.Name)
		case material.Private == nil:
			return nil, []Finding{{
				Object: "SFTPKey " + client.ObjectKeyFromObject(k).String(), Reason: v.Condition.Reason, Message: v.Condition.Message,
				Missing: v.Condition.Reason == v1alpha1.ReasonSecretNotFound,
			}}, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if err := policy.CheckHostKey(material.Public); err != nil {
			return nil, []Finding{{
				Object: object, Reason: v1alpha1.ReasonInvalidHostKey, Message: fmt.Sprintf("SFTPKey %q: %v", k.Name, err),
			}}, nil
		}
		// There are no clients yet that a key would be new for; more of one type are spares.
		state := v1alpha1.HostKeyActive
		if seen[material.Public.Type()] {
			state = v1alpha1.HostKeyAdvertised
		}
		seen[material.Public.Type()] = true
		rendered := render.PrivateHostKey{Private: material.Private, State: state}
		certificate, err := key.HostCertificate(material, policy.Policy)
		switch {
		case err != nil:
			findings = append(findings, Finding{
				Object: object, Reason: v1alpha1.ReasonInvalidHostCertificate,
				Message: fmt.Sprintf("SFTPKey %q works without its host certificate: %v", k.Name, err),
			})
		case certificate != nil:
			rendered.Certificate = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(certificate)))
		}
		out = append(out, rendered)
	}
	return out, findings, nil
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

// Secret implements credentials.Source.
func (m *Manifests) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	s, ok := m.Secrets[types.NamespacedName{Namespace: namespace, Name: name}]
	if !ok {
		return nil, credentials.ErrNotFound
	}
	return s, nil
}

// Ring implements credentials.Source.
func (m *Manifests) Ring(_ context.Context, namespace string) (*key.Ring, error) {
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
	return key.NewRing(keys), nil
}
