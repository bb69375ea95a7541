package listener

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

func benchKey(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	k, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, sum[:]}))
	if err != nil {
		panic(err)
	}
	return string(ssh.MarshalAuthorizedKey(k)[:80])
}

// done is an Asker of pods that have always loaded what is wanted.
type done struct{}

func (d done) Ask(_ context.Context, p *corev1.Pod, keys ack.Keys) (ack.Answer, error) {
	return ack.Answer{Status: config.Status{Digest: p.Annotations[v1alpha1.AnnotationConfigDigest]}, Key: keys[0]}, nil
}

func (done) KeyUse(context.Context, *corev1.Pod, string, ack.Known, config.KeyUseReport) (config.KeyUseReport, error) {
	return config.KeyUseReport{}, nil
}

// BenchmarkReconcile is one change of one user, of a number of users with two keys each: all that
// the operator computes, without the API server.
func BenchmarkReconcile(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint("users=", n), func(b *testing.B) { benchmarkReconcile(b, n) })
	}
}

func benchmarkReconcile(b *testing.B, n int) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		b.Fatal(err)
	}
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners", UID: "l", Generation: 1},
		Spec: v1alpha1.SFTPListenerSpec{
			MaxUsers: new(int32(n)),
			Volumes:  []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}},
		},
	}
	hostKey := render.HostKey(l)
	m, err := key.Generate(v1alpha1.KeyEd25519, "bench")
	if err != nil {
		b.Fatal(err)
	}
	hostKey.Status.SecretName, hostKey.Status.PublicKey, hostKey.Status.Fingerprint = hostKey.Name, m.Line(), m.Fingerprint()
	users := make([]v1alpha1.SFTPUser, n)
	for i := range users {
		name := fmt.Sprintf("partner-%05d", i)
		users[i] = v1alpha1.SFTPUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("00000000-0000-0000-0000-0000000" + name[8:]), Generation: 1},
			Spec: v1alpha1.SFTPUserSpec{
				ListenerRef:    v1alpha1.ListenerReference{Name: "partners"},
				Authentication: v1alpha1.UserAuthentication{AuthorizedKeys: []string{benchKey(name), benchKey(name + "b")}},
			},
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p", Labels: render.Labels(l)}}
	pod.Status.PodIP, pod.Status.Conditions = "192.0.2.1", []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	base := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(l).WithObjects(l, hostKey, key.NewSecret(hostKey, hostKey.Name, m), pod).Build()
	version, written := 0, map[string]*metav1.PartialObjectMetadata{}
	c := interceptor.NewClient(base, interceptor.Funcs{
		Apply: func(_ context.Context, _ client.WithWatch, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
			u, ok := o.(client.Object)
			if !ok {
				return fmt.Errorf("%T is not an object", o)
			}
			version++
			u.SetResourceVersion(strconv.Itoa(version))
			m := &metav1.PartialObjectMetadata{}
			m.Name, m.Labels, m.ResourceVersion, m.OwnerReferences = u.GetName(), u.GetLabels(), u.GetResourceVersion(), u.GetOwnerReferences()
			written[u.GetName()] = m
			return nil
		},
		Get: func(ctx context.Context, c client.WithWatch, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			m, ok := o.(*metav1.PartialObjectMetadata)
			if !ok || written[name.Name] == nil {
				return c.Get(ctx, name, o, opts...)
			}
			written[name.Name].DeepCopyInto(m)
			return nil
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			out, ok := list.(*v1alpha1.SFTPUserList)
			if !ok {
				return c.List(ctx, list, opts...)
			}
			o := (&client.ListOptions{}).ApplyOptions(opts)
			copied := o.UnsafeDisableDeepCopy == nil || !*o.UnsafeDisableDeepCopy
			out.Items = make([]v1alpha1.SFTPUser, len(users))
			for i := range users {
				if out.Items[i] = users[i]; copied {
					users[i].DeepCopyInto(&out.Items[i])
				}
			}
			return nil
		},
	})
	r := &Reconciler{
		Client: c, Live: c, Applier: &apply.Applier{Client: c, Live: c}, Board: user.NewBoard(),
		Events: events.NewFakeRecorder(1000), Image: "sftpd", OperatorNamespace: "system", Now: time.Now,
		Poller: &poll.Poller{Client: c, Asker: done{}, Now: time.Now},
	}
	go func() {
		for range r.Board.Changes {
		}
	}()
	name := client.ObjectKeyFromObject(l)
	go func() {
		for b.Context().Err() == nil {
			_, _ = r.Poller.Reconcile(b.Context(), ctrl.Request{NamespacedName: name})
			time.Sleep(10 * time.Millisecond)
		}
	}()
	reconcile := func() {
		if _, err := r.Reconcile(b.Context(), ctrl.Request{NamespacedName: name}); err != nil {
			b.Fatal(err)
		}
	}
	reconcile()
	digest := ""
	for i := 0; b.Loop(); i++ {
		u := &users[i%n]
		u.Generation++
		u.Spec.Authentication.AuthorizedKeys[1] = benchKey(fmt.Sprint("new", i))
		reconcile()
		if err := base.Get(b.Context(), name, l); err != nil {
			b.Fatal(err)
		}
		if l.Status.ConfigDigest == digest {
			b.Fatalf("the change was not delivered: %+v", l.Status)
		}
		digest = l.Status.ConfigDigest
	}
}
