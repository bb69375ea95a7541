package volumes

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func claim(name string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes},
	}
}

func existing(name, claim string) v1alpha1.ListenerVolume {
	return v1alpha1.ListenerVolume{Name: name, PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: claim}}
}

func template(name string, modes ...v1alpha1.AccessMode) v1alpha1.ListenerVolume {
	return v1alpha1.ListenerVolume{Name: name, ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi"), AccessModes: modes}}
}

func listener(replicas int32, volumes ...v1alpha1.ListenerVolume) *v1alpha1.SFTPListener {
	return &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners"}, Spec: v1alpha1.SFTPListenerSpec{Replicas: &replicas, Volumes: volumes},
	}
}

func TestResolve(t *testing.T) {
	ending := claim("ending", corev1.ReadWriteMany)
	ending.DeletionTimestamp, ending.Finalizers = &metav1.Time{}, []string{"kubernetes.io/pvc-protection"}
	*ending.DeletionTimestamp = metav1.Unix(1, 0)
	away := errors.New("etcd is away")
	c := interceptor.NewClient(fake.NewClientBuilder().WithObjects(
		claim("once", corev1.ReadWriteOnce), claim("pod", corev1.ReadWriteOncePod), claim("many", corev1.ReadWriteMany), ending,
		claim("read", corev1.ReadOnlyMany), claim("both", corev1.ReadWriteOnce, corev1.ReadWriteMany), claim("partners-left", corev1.ReadWriteMany),
	).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if key.Name == "unreadable" {
				return away
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	const shared = ", which only one node can mount; set replicas to 1 or use a ReadWriteMany claim"
	for name, c2 := range map[string]struct {
		listener  *v1alpha1.SFTPListener
		exclusive bool
		problems  []Problem
		err       string
	}{
		"no claim":    {listener: listener(3, v1alpha1.ListenerVolume{Name: "tmp", EmptyDir: &v1alpha1.EmptyDirVolume{}})},
		"one replica": {listener: listener(1, existing("a", "once")), exclusive: true},
		"none":        {listener: listener(0, existing("a", "pod")), exclusive: true},
		"shareable":   {listener: listener(9, existing("a", "many"), existing("b", "read"), existing("c", "both"), template("d", v1alpha1.AccessMode("ReadWriteMany")))},
		"unshareable": {
			listener: listener(2, existing("b", "many"), existing("a", "once")), exclusive: true,
			problems: []Problem{{"a", v1alpha1.ReasonVolumeNotShareable, `replicas is 2, but the claim of volume "a" is [ReadWriteOnce]` + shared}},
		},
		"one pod only": {
			listener: listener(2, existing("a", "pod")), exclusive: true,
			problems: []Problem{{"a", v1alpha1.ReasonVolumeNotShareable, `replicas is 2, but the claim of volume "a" is [ReadWriteOncePod]` + shared}},
		},
		"a template": {listener: listener(1, template("a")), exclusive: true},
		"a template, and too many": {
			listener: listener(2, template("a")), exclusive: true,
			problems: []Problem{{"a", v1alpha1.ReasonVolumeNotShareable, `replicas is 2, but the claim of volume "a" is [ReadWriteOnce]` + shared}},
		},
		"a claim that a former listener left": {listener: listener(2, template("left"))},
		"missing": {
			listener: listener(1, existing("a", "none"), existing("b", "many")),
			problems: []Problem{{"a", v1alpha1.ReasonVolumeClaimNotFound, `PersistentVolumeClaim "none" of volume "a" does not exist in namespace "ns"; create it or correct spec.volumes`}},
		},
		"being deleted": {
			listener: listener(1, existing("a", "ending")),
			problems: []Problem{{
				"a", v1alpha1.ReasonVolumeClaimNotFound,
				`PersistentVolumeClaim "ending" of volume "a" is being deleted and disappears once no pod uses it; remove the volume from spec.volumes, or set replicas to 0 until the claim is gone and recreate it`,
			}},
		},
		"unreadable": {listener: listener(1, existing("a", "unreadable"), existing("b", "once")), exclusive: true, err: "read PersistentVolumeClaim unreadable: etcd is away"},
		"unreadable and missing": {
			listener: listener(1, existing("a", "unreadable"), existing("b", "none")), err: "read PersistentVolumeClaim unreadable: etcd is away",
			problems: []Problem{{"b", v1alpha1.ReasonVolumeClaimNotFound, `PersistentVolumeClaim "none" of volume "b" does not exist in namespace "ns"; create it or correct spec.volumes`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Resolve(t.Context(), c, c2.listener)
			err := ""
			if got.Err != nil {
				err = got.Err.Error()
			}
			if err != c2.err || got.Err != nil && !errors.Is(got.Err, away) {
				t.Errorf("error %q, want %q", err, c2.err)
			}
			if got.Exclusive != c2.exclusive || !reflect.DeepEqual(got.Problems, c2.problems) {
				t.Errorf("exclusive %v, problems\n\t%+v\nwant %v\n\t%+v", got.Exclusive, got.Problems, c2.exclusive, c2.problems)
			}
			if want := c2.err == "" && c2.problems == nil; got.Mountable != want {
				t.Errorf("mountable %v", got.Mountable)
			}
			for _, v := range got.Volumes {
				if v.FromTemplate != strings.HasPrefix(v.Claim, "partners-") || (v.Live != nil) != (v.Err == nil && v.Claim != "none" && (!v.FromTemplate || v.Name == "left")) {
					t.Errorf("volume %+v", v)
				}
			}
		})
	}
}

func TestReplicas(t *testing.T) {
	l := listener(0)
	if got := Replicas(l); got != 0 {
		t.Errorf("%d replicas, want none", got)
	}
	l.Spec.Replicas = nil
	if got := Replicas(l); got != 1 {
		t.Errorf("%d replicas without a number, want 1", got)
	}
}
