package access

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/record"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// After a restart, pods report about the host keys that they have, although the listener controller has not decided on any yet.
func TestHostKeysAfterARestart(t *testing.T) {
	r := newRig(t)
	r.running("p")
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	hostKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	own := ssh.FingerprintSHA256(hostKey)
	r.Store.Of(r.name(), r.l.UID).HostKeys.Store(&exchange.HostKeys{
		Private:   []render.PrivateHostKey{{Private: pem.EncodeToMemory(block), State: v1alpha1.HostKeyActive}},
		Signature: "s", Fingerprints: []string{own},
	})
	r.put("a", 1, 1)
	r.good()
	held := r.access().Delivered.Version.Digest
	r.restart()
	r.good()
	if got := r.access().Delivered.Version.Digest; got != held {
		t.Fatalf("the configuration is %s, was %s", got, held)
	}
	r.asker.digest = held
	asked := r.poll()
	if len(asked) != 1 || asked[0].known.HostKey == nil {
		t.Fatalf("pods are asked %+v", asked)
	}
	if !asked[0].known.HostKey(own) {
		t.Error("a pod may not report about its host key")
	}
	if asked[0].known.HostKey(fingerprint(1)) {
		t.Error("a pod may report about a host key that it does not have")
	}
}

// recorded stores the record of a listener with a UID, in which a user has the login name "x".
func (r *rig) recorded(uid types.UID, holder string) {
	r.t.Helper()
	rec := record.Record{UID: uid, Logins: []record.Login{{Username: "x", Namespace: "team", Name: holder}}}
	data, err := rec.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.secrets.Put(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: record.SecretName(r.l.Name), Labels: map[string]string{v1alpha1.LabelRecord: r.l.Name}},
		Type:       record.SecretType, Data: map[string][]byte{record.Entry: data},
	})
}

// Of two users with one login name, the older one has it, unless the listener was recreated and its record names a different
// one: objects of a backup have new creation times. Once the listener controller has passed a record, that one counts; until
// then, the stored one does.
func TestWhoHasALoginAfterARestore(t *testing.T) {
	passed := func(holder string) *exchange.Record {
		return &exchange.Record{Holders: map[string]types.NamespacedName{"x": {Namespace: "team", Name: holder}}}
	}
	for name, tc := range map[string]struct {
		stored func(r *rig)
		passed *exchange.Record
		want   string
	}{
		"no record":                         {func(*rig) {}, nil, "older"},
		"its own record":                    {func(r *rig) { r.recorded(r.l.UID, "newer") }, nil, "older"},
		"that of an earlier listener":       {func(r *rig) { r.recorded("earlier", "newer") }, nil, "newer"},
		"as passed":                         {func(*rig) {}, passed("newer"), "newer"},
		"passed, without holders":           {func(r *rig) { r.recorded("earlier", "newer") }, &exchange.Record{}, "older"},
		"passed, other than what is stored": {func(r *rig) { r.recorded("earlier", "older") }, passed("newer"), "newer"},
		"of a user that is gone":            {func(r *rig) { r.recorded("earlier", "gone") }, nil, "older"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			tc.stored(r)
			r.hostKey()
			if tc.passed != nil {
				r.Store.Of(r.name(), r.l.UID).Record.Store(tc.passed)
			}
			for i, user := range []string{"older", "newer"} {
				r.edit(r.put(user, 1, i+1), func(u *v1alpha1.SFTPUser) {
					u.Spec.Username, u.CreationTimestamp = "x", metav1.NewTime(noon.Add(time.Duration(i-2)*time.Hour))
				})
			}
			r.good()
			if got := r.delivered()["x"].Name; got != tc.want {
				t.Errorf("%q has the login, want %q", got, tc.want)
			}
		})
	}
}

// held reads one Secret only when a channel is closed.
type held struct {
	client.Reader
	name  string
	until <-chan struct{}
}

// Get implements client.Reader.
func (h held) Get(ctx context.Context, name types.NamespacedName, o client.Object, opts ...client.GetOption) error {
	if name.Name == h.name {
		<-h.until
	}
	return h.Reader.Get(ctx, name, o, opts...)
}

// While a list that was added has not been read, everything that this operator has delivered stays as it is: revoked keys stay
// revoked, CAs stay trusted, and nothing waits for the list.
func TestListsThatAreAdded(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	for i, name := range []string{"a", "b", "c"} {
		r.put(name, 1, i+1)
	}
	r.stored("revoked", "list", publicKey(1))
	r.stored("cas", "file", publicKey(50))
	r.lists()
	read := make(chan struct{})
	r.Entries.Live = held{Reader: r.secrets, name: "more", until: read}
	r.reading()
	release := sync.OnceFunc(func() { close(read) })
	t.Cleanup(release) // the reader ends after it
	r.good()
	r.until("the lists are read", func() bool {
		return r.logins() == "b c" && strings.Contains(r.settings(), strings.TrimSpace(publicKey(50)))
	})
	r.stored("more", "list", publicKey(2))
	// The lists that have been read are replaced, so that what they had is known from the last delivery only.
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "more", Key: "list"}}
		l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "more", Key: "list"}}
	})
	r.good()
	if a := r.access(); a.Blocked != nil || r.logins() != "b c" || !strings.Contains(r.settings(), strings.TrimSpace(publicKey(50))) {
		t.Errorf("before the new one is read: blocked %+v, logins %q, settings %s", a.Blocked, r.logins(), r.settings())
	}
	release()
	r.until("the new one is read", func() bool {
		return r.logins() == "a c" && !strings.Contains(r.settings(), strings.TrimSpace(publicKey(50)))
	})
}

// The operator's log has the details of a defect; statuses do not.
func TestPanicIsLogged(t *testing.T) {
	r := newRig(t)
	var log []string
	ctx := ctrl.LoggerInto(t.Context(), funcr.New(func(prefix, args string) { log = append(log, prefix+args) }, funcr.Options{}))
	r.hostKey()
	r.Now = func() time.Time { panic("what it met") }
	if _, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: r.name()}); err == nil || strings.Contains(err.Error(), "what it met") {
		t.Errorf("told %v", err)
	}
	if all := strings.Join(log, "\n"); !strings.Contains(all, "what it met") || !strings.Contains(all, "reconciler.go") {
		t.Errorf("log %s", all)
	}
}

// An old crypto policy that ends too late for the platform is offered once its end is near enough, without any event.
func TestPlatformAllowsLater(t *testing.T) {
	r := newRig(t)
	r.hostKey()
	r.Platform = platform.Fixed(&platform.Policy{Bounds: platform.Bounds{LegacyMaxDays: new(int32(30))}})
	end := noon.AddDate(0, 0, 40)
	r.change(func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy, l.Spec.CryptoPolicyExpirationTime = v1alpha1.CryptoLegacy2026, new(metav1.NewTime(end))
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"} // which that policy needs
	})
	if wait := r.good(); wait != 10*24*time.Hour || strings.Contains(r.settings(), string(v1alpha1.CryptoLegacy2026)) {
		t.Errorf("again in %s, settings %s", wait, r.settings())
	}
	r.now = r.now.AddDate(0, 0, 10)
	if r.good(); !strings.Contains(r.settings(), string(v1alpha1.CryptoLegacy2026)) {
		t.Errorf("30 days before its end: settings %s", r.settings())
	}
}
