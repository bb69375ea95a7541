package offline_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	sftpkey "github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/test/manifests"
)

// operator compiles objects from caches, as the operator does: entries that are read in the background, keys with statuses, and
// a memo.
type operator struct {
	m        *offline.Manifests
	hashes   map[string][]*config.Password // that may be used, by namespace
	entries  map[credentials.Ref]credentials.Entry
	keyrings sftpkey.Keyrings
	memo     compile.Memo
}

// keyring returns the SFTPKeys of a namespace with the statuses that their reconciler writes.
func (o *operator) keyring(namespace string) *sftpkey.Keyring {
	var keys []v1alpha1.SFTPKey
	for name, k := range o.m.Keys {
		if name.Namespace != namespace {
			continue
		}
		k := *k.DeepCopy()
		k.ResourceVersion = "1"
		if v := sftpkey.Decide(&k, o.m.Secrets[types.NamespacedName{Namespace: namespace, Name: sftpkey.SecretName(&k)}]); v.Material.Public != nil {
			k.Status.PublicKey = v.Material.Line()
			conditions.Set(&k.Status.Conditions, k.Generation, v.Condition)
		}
		keys = append(keys, k)
	}
	return o.keyrings.Keyring(namespace, keys)
}

// read reads an entry, after which it is known.
func (o *operator) read(t *testing.T, ref credentials.Ref) {
	t.Helper()
	secret := o.m.Secrets[types.NamespacedName{Namespace: ref.Namespace, Name: ref.Secret}]
	e, err := credentials.Read(ref, secret, func(data []byte, source string) (*config.Password, error) {
		for _, p := range o.hashes[ref.Namespace] {
			if h, err := password.Parse(p.Hash); err == nil && h.Verify(data) {
				return &config.Password{Hash: p.Hash, Source: source}, nil
			}
		}
		return credentials.Hash(data, source, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	o.entries[ref] = e
}

func (o *operator) compile(t *testing.T, in compile.Input) compile.Output {
	t.Helper()
	resolver := compile.Resolver{Keyring: o.keyring, Entry: func(ref credentials.Ref) credentials.Entry { return o.entries[ref] }}
	in.Resolve = resolver.Resolve
	// Nothing is known yet: users who need an entry wait for it, and no others do.
	out := compile.Compile(in, &o.memo)
	for i := range out.Users {
		for _, ref := range out.Users[i].Credentials.Pending {
			if _, ok := o.entries[ref]; !ok {
				o.read(t, ref)
			}
		}
	}
	in.Seats, in.Previous = out.Seats, out.Slots
	return compile.Compile(in, &o.memo)
}

// input returns what the operator finds for the listener, except credentials.
func (o *operator) input(l *v1alpha1.SFTPListener) (in compile.Input, hostKeyMissing bool) {
	policy := render.PolicyAt(l, manifests.Now)
	trust, problems := render.ResolveTrust(l, policy.Policy, func(ref v1alpha1.SecretFileReference) render.SecretFile {
		s, ok := o.m.Secrets[types.NamespacedName{Namespace: l.Namespace, Name: ref.Name}]
		if !ok {
			return render.SecretFile{NoSecret: true}
		}
		data, ok := s.Data[ref.Key]
		return render.SecretFile{NoEntry: !ok, Data: data}
	}, nil)
	in = compile.Input{
		Listener: l, NamespaceLabels: o.m.Namespaces, Trust: trust, TrustProblems: problems, VolumePath: render.PodVolumePath, Now: manifests.Now,
	}
	for i := range o.m.Users {
		in.Users = append(in.Users, o.m.Users[i].DeepCopy())
	}
	k := o.m.Keys[types.NamespacedName{Namespace: l.Namespace, Name: "host"}]
	if k == nil {
		return in, true
	}
	v := sftpkey.Decide(k, o.m.Secrets[client.ObjectKeyFromObject(k)])
	in.HostKeys = []render.PrivateHostKey{{Private: v.Material.Private, State: v1alpha1.HostKeyActive}}
	return in, false
}

// The operator and manager render produce the same configuration and the same messages.
func TestGenerated(t *testing.T) {
	const sets = 200
	reasons, rendered, users := map[string]int{}, 0, 0
	for seed := range uint64(sets) {
		var all bytes.Buffer
		for _, o := range manifests.Generate(seed) {
			data, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "---\n%s", data)
		}
		m := read(t, all.String())
		if len(m.Listeners) != 1 {
			t.Fatalf("seed %d: the listener is refused: %v", seed, m.Refused)
		}
		l := &m.Listeners[0]
		files, findings, err := m.Render(t.Context(), l, offline.Previous{}, manifests.Now, render.PodVolumePath)
		if err != nil {
			t.Fatal(err)
		}
		o := &operator{m: m, entries: map[credentials.Ref]credentials.Entry{}, hashes: map[string][]*config.Password{}}
		for _, s := range files.Shards {
			for line := range bytes.Lines(s) {
				u, err := config.DecodeUser(line)
				if err != nil {
					t.Fatal(err)
				}
				users++
				if u.Password != nil {
					o.hashes[u.Namespace] = append(o.hashes[u.Namespace], u.Password)
				}
			}
		}
		in, hostKeyMissing := o.input(l)
		out := o.compile(t, in)
		if !reflect.DeepEqual(out.Files, files) {
			t.Fatalf("seed %d: the operator renders\n%s\n%s\nand manager render\n%s\n%s", seed,
				out.Files.Config[config.ListenerFile], out.Files.Shards, files.Config[config.ListenerFile], files.Shards)
		}
		// Problems of host keys are found before compiling.
		findings = slices.DeleteFunc(findings, func(f offline.Finding) bool {
			return f.Reason == v1alpha1.ReasonInvalidHostCertificate || f.Reason == v1alpha1.ReasonHostKeyNotFound
		})
		if got := out.Findings(l); !slices.Equal(got, findings) {
			t.Fatalf("seed %d: the operator says\n%v\nand manager render\n%v", seed, got, findings)
		}
		if files.Digest != "" {
			rendered++
		} else if !hostKeyMissing && !in.Trust.Unknown {
			t.Errorf("seed %d: nothing is rendered: %v", seed, findings)
		}
		for _, f := range findings {
			reasons[f.Reason]++
		}
	}
	t.Logf("%d of %d rendered, %d users, findings %v", rendered, sets, users, reasons)
	if rendered < sets/2 || users < 2*sets || len(reasons) < 12 {
		t.Errorf("%d of %d rendered, %d users, findings %v: the sets do not reach what they are for", rendered, sets, users, reasons)
	}
}
