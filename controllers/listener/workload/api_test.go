package workload

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

// admin may do everything, and operator what the generated role allows, on an API server where only clients that may delete an
// object may set its owner.
var admin, operator client.WithWatch

func TestMain(m *testing.M) { os.Exit(start(m)) }

func start(m *testing.M) int {
	log.SetLogger(logr.Discard())
	env, err := apiserver.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer env.Stop()
	if err := connect(context.Background(), env); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func connect(ctx context.Context, env *envtest.Environment) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	var err error
	if admin, err = client.NewWithWatch(env.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	account, err := apiserver.OperatorAccount(ctx, env, admin)
	if err != nil {
		return err
	}
	if operator, err = client.NewWithWatch(account, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	return admin.Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "growing"}, Provisioner: "example.com/none", AllowVolumeExpansion: new(true),
	})
}

const image = "sftpd:v1"

var objectNames = []string{
	"ServiceAccount partners-sftp", "NetworkPolicy partners-sftp", "PersistentVolumeClaim partners-home", "Service partners-sftp",
	"PodDisruptionBudget partners-sftp", "Deployment partners-sftp", "ConfigMap partners-sftp-known-hosts",
}

func empty(kind string) client.Object {
	switch kind {
	case "ServiceAccount":
		return &corev1.ServiceAccount{}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "PersistentVolumeClaim":
		return &corev1.PersistentVolumeClaim{}
	case "Service":
		return &corev1.Service{}
	case "PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	case "Deployment":
		return &appsv1.Deployment{}
	}
	return &corev1.ConfigMap{}
}

// endpoint is a listener and the applier of its objects.
type endpoint struct {
	*testing.T
	listener *v1alpha1.SFTPListener
	workload *Workload
	image    string
	now      time.Time
}

// newEndpoint creates a listener in its own namespace. Its claim can be mounted by several nodes.
func newEndpoint(t *testing.T, edits ...func(*v1alpha1.SFTPListener)) *endpoint {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "workload-"}}
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{
			Replicas: new(int32(2)),
			Volumes: []v1alpha1.ListenerVolume{{Name: "home", ClaimTemplate: &v1alpha1.ClaimTemplate{
				Storage: resource.MustParse("1Gi"), StorageClassName: "growing", AccessModes: []v1alpha1.AccessMode{"ReadWriteMany"},
			}}},
		},
	}
	for _, edit := range edits {
		edit(l)
	}
	if err := admin.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its rollouts would occupy the slots of later tests
		if err := admin.DeleteAllOf(context.Background(), &appsv1.Deployment{}, client.InNamespace(ns.Name)); err != nil {
			t.Error(err)
		}
	})
	l.Namespace = ns.Name
	if err := admin.Create(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	e := &endpoint{T: t, listener: l, image: image, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	e.through(operator)
	return e
}

// through has a new process apply the objects through a client.
func (e *endpoint) through(c client.Client) {
	now := func() time.Time { return e.now }
	e.workload = &Workload{
		Client: c, Applier: &apply.Applier{Client: c, Live: c, Now: now}, Admission: &Admission{Reader: c, Limit: 1}, Now: now,
	}
}

func (e *endpoint) apply() Result {
	return e.workload.Apply(e.Context(), Input{
		Listener: e.listener, Image: e.image, OperatorNamespace: "sftp-system",
		Volumes:  volumes.Resolve(e.Context(), e.workload.Client, e.listener),
		HostKeys: []v1alpha1.HostKeyStatus{{PublicKey: "ssh-ed25519 AAAA"}},
	})
}

// applied applies and expects no refusal.
func (e *endpoint) applied() Result {
	e.Helper()
	r := e.apply()
	if len(r.Refusals) != 0 || r.Err != nil {
		e.Fatalf("refusals %+v, error %v", r.Refusals, r.Err)
	}
	return r
}

// edit changes the listener.
func (e *endpoint) edit(edit func(*v1alpha1.SFTPListenerSpec)) {
	e.Helper()
	edit(&e.listener.Spec)
	if err := admin.Update(e.Context(), e.listener); err != nil {
		e.Fatal(err)
	}
}

func (e *endpoint) find(kind, name string) (client.Object, error) {
	o := empty(kind)
	return o, admin.Get(e.Context(), client.ObjectKey{Namespace: e.listener.Namespace, Name: name}, o)
}

func get[T client.Object](e *endpoint, o T, name string) T {
	e.Helper()
	if err := admin.Get(e.Context(), client.ObjectKey{Namespace: e.listener.Namespace, Name: name}, o); err != nil {
		e.Fatal(err)
	}
	return o
}

func (e *endpoint) deployment() *appsv1.Deployment {
	e.Helper()
	return get(e, &appsv1.Deployment{}, "partners-sftp")
}

func (e *endpoint) claim() *corev1.PersistentVolumeClaim {
	e.Helper()
	return get(e, &corev1.PersistentVolumeClaim{}, "partners-home")
}

// change writes an object as another client.
func change[T client.Object](e *endpoint, o T, edit func(T)) {
	e.Helper()
	edit(o)
	if err := admin.Update(e.Context(), o, client.FieldOwner("kubectl-edit")); err != nil {
		e.Fatal(err)
	}
}
