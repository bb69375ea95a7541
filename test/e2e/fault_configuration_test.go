package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// A damaged configuration Secret is repaired at once. While no operator is running, pods continue with what they have.
func TestFaultCorruptedShard(t *testing.T) {
	f := newFault(t, "shard", nil)
	damage := func() time.Time {
		var list corev1.SecretList
		must(t, kube.List(t.Context(), &list, client.InNamespace(f.ns), client.MatchingLabels{v1alpha1.LabelListener: f.listener.Name}))
		for i := range list.Items {
			if s := &list.Items[i]; strings.Contains(s.Name, "-users-") {
				return update(t, s, func(s *corev1.Secret) {
					for file, data := range s.Data {
						s.Data[file] = append([]byte("damaged"), data...)
					}
				})
			}
		}
		t.Fatal("the listener has no shard")
		return time.Time{}
	}
	repaired := func(start time.Time) time.Duration {
		eventually(t, time.Minute, "no shard is damaged", func() bool {
			var list corev1.SecretList
			must(t, kube.List(t.Context(), &list, client.InNamespace(f.ns), client.MatchingLabels{v1alpha1.LabelListener: f.listener.Name}))
			for _, s := range list.Items {
				for _, data := range s.Data {
					if strings.HasPrefix(string(data), "damaged") {
						return false
					}
				}
			}
			return true
		})
		return time.Since(start)
	}
	first := repaired(damage())

	scaleOperator(t, 0)
	damage()
	pod := podsOf(t, f.listener)[0]
	// The kubelet refreshes the volume when a pod changes.
	update(t, &pod, func(p *corev1.Pod) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations["e2e/poke"] = "1"
	})
	time.Sleep(3 * time.Second)
	f.login(t)
	start := time.Now()
	setOperatorReplicas(t, 1)
	second := repaired(start)
	works := f.newUserWorks(t, "second", start, time.Minute)
	scaleOperator(t, 1)
	fmt.Printf("FAULT damaged shard: %s; repaired after %s, and %s after the start of an operator that was away, with new logins after %s\n",
		f.unharmed(t), seconds(first), seconds(second), seconds(works))
}

// Two operators that act at the same time, without the lease that separates them, reach the same result and then leave it
// alone.
func TestFaultTwoOperators(t *testing.T) {
	f := newFault(t, "two", nil)
	d := &appsv1.Deployment{}
	must(t, kube.Get(t.Context(), types.NamespacedName{Namespace: operatorNamespace, Name: operatorDeployment(t)}, d))
	d.ObjectMeta = metav1.ObjectMeta{Namespace: operatorNamespace, Name: "second-operator"}
	label := map[string]string{"e2e": "second-operator"}
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: label}
	d.Spec.Template.Labels = label
	args := d.Spec.Template.Spec.Containers[0].Args
	i := slices.Index(args, "--leader-elect")
	if i < 0 {
		t.Fatalf("the operator has no --leader-elect among its arguments %q", args)
	}
	args[i] = "--leader-elect=false"
	must(t, kube.Create(t.Context(), d))
	t.Cleanup(func() {
		if err := kube.Delete(context.Background(), d); err != nil {
			t.Errorf("remove the second operator: %v", err)
		}
	})
	eventually(t, time.Minute, "the second operator is ready", func() bool {
		must(t, kube.Get(t.Context(), client.ObjectKeyFromObject(d), d))
		return d.Status.ReadyReplicas == 1
	})

	const users = 20
	start := time.Now()
	for i := range users {
		must(t, kube.Create(t.Context(), userOf(f.listener, f.ns, fmt.Sprintf("user-%d", i), keyAuth(f.key))))
	}
	for i := range users {
		waitReady(t, userOf(f.listener, f.ns, fmt.Sprintf("user-%d", i), keyAuth(f.key)), time.Minute)
	}
	took := time.Since(start)
	mustLogin(t, f.listener, fmt.Sprintf("user-%d", users-1), f.auth())

	// The users' last-used days are written within a minute of the logins; until then the objects must come to rest, and the
	// operators must not overwrite each other's changes.
	versions := func() map[string]string {
		out := map[string]string{}
		var secrets corev1.SecretList
		must(t, kube.List(t.Context(), &secrets, client.InNamespace(f.ns)))
		for _, s := range secrets.Items {
			out[s.Name] = s.ResourceVersion
		}
		var deployments appsv1.DeploymentList
		must(t, kube.List(t.Context(), &deployments, client.InNamespace(f.ns)))
		for _, d := range deployments.Items {
			out["deployment/"+d.Name] = strconv.FormatInt(d.Generation, 10)
		}
		return out
	}
	var before map[string]string
	eventually(t, 30*time.Second, "the Secrets no longer change", func() bool {
		last := before
		before = versions()
		time.Sleep(500 * time.Millisecond)
		return maps.Equal(last, before)
	})
	time.Sleep(5 * time.Second)
	if after := versions(); !maps.Equal(before, after) {
		t.Errorf("two operators fight over objects: %v became %v", before, after)
	}
	fmt.Printf("FAULT two operators at once: %s; %d new users are ready after %s, and the Secrets then stay unchanged\n",
		f.unharmed(t), users, seconds(took))
}
