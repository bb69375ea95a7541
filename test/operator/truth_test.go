package operator

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// staysUnready checks for some time that a user is not reported ready too early.
func staysUnready(t *testing.T, u *v1alpha1.SFTPUser, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		get(t, u, u.Namespace, u.Name)
		if meta.IsStatusConditionTrue(u.Status.Conditions, "Ready") {
			t.Fatal("the user is Ready, but a ready pod has not loaded it")
		}
	}
}

// Pods that come and go while a change is in progress: each ready one counts, deleted ones do not.
func TestPodsComeAndGoDuringAChange(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	old := newUser(ns, "old")
	create(t, old)
	waitReady(t, old)

	pods.behave(ns, behavior{late: []string{"partners-sftp-a", "partners-sftp-c"}})
	u := newUser(ns, "acme")
	create(t, u)
	waitFor(t, u, "Ready", "False", "ConfigPending", "")
	readyPod(t, l, "b") // this pod has everything, and is not the only one
	waitFor(t, l, "Programmed", "False", "ConfigPending", "1 of 2 ready pods have loaded the configuration")
	readyPod(t, l, "c")
	waitFor(t, l, "Programmed", "False", "ConfigPending", "1 of 3 ready pods have loaded the configuration")
	remove(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp-c"}})
	waitFor(t, l, "Programmed", "False", "ConfigPending", "1 of 2 ready pods have loaded the configuration")
	staysUnready(t, u, 500*time.Millisecond)
	waitFor(t, old, "Ready", "True", "Ready", "")
	remove(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-sftp-a"}})
	waitReady(t, u)
	waitFor(t, l, "Programmed", "True", "Programmed", "All 1 ready pods have loaded the configuration")
}

// A pod that never acknowledges is notified repeatedly, and after some time the status names the pod, the time, and what to do.
// If it acknowledges in the end, or is deleted, that is cleared.
func TestPodThatNeverAcknowledges(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	readyPod(t, l, "b")
	waitFor(t, l, "Programmed", "True", "Programmed", "All 2 ready pods have loaded the configuration")
	pods.behave(ns, behavior{late: []string{"partners-sftp-b"}})
	u := newUser(ns, "acme")
	create(t, u)
	waitFor(t, l, "Programmed", "False", "ConfigPending", "1 of 2 ready pods have loaded the configuration")
	late := &corev1.Pod{}
	poke := func() string {
		get(t, late, ns, "partners-sftp-b")
		return late.Annotations[v1alpha1.AnnotationSyncRequested]
	}
	var first string
	eventually(t, func() error {
		if first = poke(); first == "" {
			return errors.New("the pod was not poked")
		}
		return nil
	})
	eventually(t, func() error {
		if poke() == first {
			return fmt.Errorf("the kubelet swallowed the poke %q, and there is no other", first)
		}
		return nil
	})

	clock.jump(t, time.Minute) // the time that the pod takes
	named := regexp.MustCompile(`^1 of 2 ready pods have loaded the configuration; pod partners-sftp-b has not since (20\S+Z)\. Its kubelet may not be refreshing its volumes: kubectl -n ` +
		ns + ` describe pod partners-sftp-b, or delete it$`)
	var message string
	eventually(t, func() error {
		get(t, l, ns, l.Name)
		message = meta.FindStatusCondition(l.Status.Conditions, "Programmed").Message
		m := named.FindStringSubmatch(message)
		if m == nil {
			return fmt.Errorf("the condition says %q", message)
		}
		since, err := time.Parse(time.RFC3339, m[1])
		if err != nil || time.Since(since) > time.Minute || time.Until(since) > time.Second {
			t.Fatalf("since %s (%v), and now it is %s", m[1], err, time.Now())
		}
		return nil
	})
	waitFor(t, u, "Ready", "False", "ConfigPending", "The listener's pods have not loaded this user yet: "+
		strings.Replace(message, "1 of 2 ready pods have loaded", "Not every ready pod has loaded", 1))
	judge(t, func() error {
		get(t, l, ns, l.Name)
		version, last := l.ResourceVersion, poke()
		eventually(t, func() error {
			if poke() == last {
				return fmt.Errorf("the pod was not poked anymore")
			}
			return nil
		})
		if get(t, l, ns, l.Name); l.ResourceVersion != version {
			return fmt.Errorf("a pod that is late causes a write of the status each time")
		}
		return nil
	})
	pods.behave(ns, behavior{})
	waitReady(t, u)
	waitFor(t, l, "Programmed", "True", "Programmed", "All 2 ready pods have loaded the configuration")
}

// A NetworkPolicy that blocks one pod: the message names the port and the clients that must reach it, and does not change with
// each try.
func TestPodBehindANetworkPolicy(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	readyPod(t, l, "b")
	waitFor(t, l, "Programmed", "True", "Programmed", "All 2 ready pods have loaded the configuration")
	pods.behave(ns, behavior{cut: []string{"partners-sftp-b"}})
	u := newUser(ns, "acme")
	create(t, u)
	message := "The operator cannot reach port 8081 of the pods; check NetworkPolicies: pod partners-sftp-b: read: i/o timeout"
	waitFor(t, l, "Programmed", "Unknown", "PodUnreachable", message)
	waitFor(t, u, "Ready", "False", "ConfigPending", "The listener's pods have not loaded this user yet: "+
		strings.Replace(message, "1 of 2 ready pods have loaded", "Not every ready pod has loaded", 1))
	eventually(t, func() error {
		if get(t, l, ns, l.Name); *l.Status.AttachedUsers != 1 {
			return fmt.Errorf("%d users", *l.Status.AttachedUsers)
		}
		return nil
	})
	judge(t, func() error {
		get(t, l, ns, l.Name)
		before := l.DeepCopy()
		staysUnready(t, u, 4*time.Second) // a few tries
		if get(t, l, ns, l.Name); l.ResourceVersion != before.ResourceVersion {
			return fmt.Errorf("each try causes a write of the status:\n%+v\n%+v", before.Status, l.Status)
		}
		return nil
	})
	pods.behave(ns, behavior{})
	waitReady(t, u)
}

// quota plays the quota controller, which does not run here: it sets the allowed and the current number of Secrets.
func quota(t *testing.T, ns, secrets string) *corev1.ResourceQuota {
	t.Helper()
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "few"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse(secrets)}},
	}
	create(t, q)
	before := q.DeepCopy()
	q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{corev1.ResourceSecrets: resource.MustParse(secrets)}}
	if err := api.Status().Patch(t.Context(), q, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	admits(t, ns, false)
	return q
}

// admits waits until the API server admits another Secret, or refuses it, because it learns of quotas with a delay.
func admits(t *testing.T, ns string, want bool) {
	t.Helper()
	eventually(t, func() error {
		one := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one-more"}}
		err := api.Create(t.Context(), one)
		if err == nil {
			remove(t, one)
		}
		if (err == nil) != want {
			return fmt.Errorf("another Secret: %w", err)
		}
		return nil
	})
}

// A quota on Secrets: the status has the API server's message and what to do, and the operator continues automatically.
func TestQuotaOnSecrets(t *testing.T) {
	ns := namespace(t, nil)
	// For a new listener, the first Secret is the one of its host key.
	q := quota(t, ns, "0")
	l := newListener(ns)
	create(t, l)
	const says = `exceeded quota: few, requested: secrets=1, used: secrets=0, limited: secrets=0; raise the ResourceQuota or free some of it; the operator then retries`
	tells := func(o client.Object, condition, reason string) func() error {
		return func() error {
			get(t, o, o.GetNamespace(), o.GetName())
			c := meta.FindStatusCondition(conditionsOf(o), condition)
			if c == nil || c.Status != metav1.ConditionFalse || c.Reason != reason || !strings.HasSuffix(c.Message, says) {
				return fmt.Errorf("%T: %s is %+v", o, condition, c)
			}
			return nil
		}
	}
	eventually(t, tells(l, "ResolvedRefs", "HostKeyNotFound"))
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners-ed25519"}}
	eventually(t, tells(k, "Ready", "ApplyFailed"))
	remove(t, q)
	admits(t, ns, true)
	change(t, k, func(k *v1alpha1.SFTPKey) { k.Spec.DeletionPolicy = v1alpha1.Delete }) // rather than waiting for half a minute
	readyPod(t, l, "a")
	waitFor(t, l, "Ready", "True", "Ready", "")

	// For an existing one, it is the next shard.
	q = quota(t, ns, "0")
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(5000)) })
	eventually(t, tells(l, "Programmed", "ApplyFailed"))
	remove(t, q)
	admits(t, ns, true)
	change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Limits.MaxConnections = new(int32(99)) })
	waitFor(t, l, "Ready", "True", "Ready", "")
}

// A request that the API server refused is retried within half a minute, whatever else happens.
func TestRefusalIsTriedAgain(t *testing.T) {
	ns := namespace(t, nil)
	q := quota(t, ns, "0")
	l := newListener(ns)
	create(t, l)
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", "")
	remove(t, q)
	readyPod(t, l, "a")
	for end := time.Now().Add(30*time.Second + 20*slowness()); ; time.Sleep(200 * time.Millisecond) {
		get(t, l, ns, l.Name)
		if meta.IsStatusConditionTrue(l.Status.Conditions, "Ready") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the operator does not continue on its own: %+v", l.Status.Conditions)
		}
	}
}

// Nothing can be created in a Namespace that is being deleted. The operator neither retries forever nor reports it.
func TestNamespaceThatEnds(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns)
	u := newUser(ns, "acme")
	create(t, u)
	waitReady(t, u)
	k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "robot"}, Spec: v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyGenerated}}

	// There is no controller to finish the deletion here, so it stays in this state.
	remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	if err := api.Create(t.Context(), k); err == nil {
		t.Fatal("the namespace is not being deleted, so the test proves nothing")
	}
	var n int32
	judge(t, func() error { // reconciles of other tests' leftovers count too
		failures := reconcileErrors(t)
		events := len(items(t, &eventsv1.EventList{}, ns))
		before := reconciles(t, "listener")
		n++
		change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(5000 + n) }) // which needs another Secret
		change(t, u, func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(n) })
		eventually(t, func() error {
			if reconciles(t, "listener") == before {
				return fmt.Errorf("nothing happened")
			}
			return nil
		})
		time.Sleep(2 * time.Second)
		if n := reconcileErrors(t) - failures; n != 0 {
			return fmt.Errorf("%v reconciles failed", n)
		}
		if n := len(items(t, &eventsv1.EventList{}, ns)) - events; n != 0 {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	eventually(t, func() error { // the pods begin to terminate with the namespace, so that its deletion does not wait for them
		if d := deploymentOf(t, l); *d.Spec.Replicas != 0 {
			return fmt.Errorf("the Deployment has %d replicas", *d.Spec.Replicas)
		}
		return nil
	})
	get(t, l, ns, l.Name)
	if !meta.IsStatusConditionTrue(l.Status.Conditions, "Ready") {
		t.Errorf("the pods still serve, but conditions are %+v", l.Status.Conditions)
	}
}

// The clock is set forward and back: users and policies expire and become valid again accordingly, and nothing gets stuck.
func TestClockJumps(t *testing.T) {
	ns := namespace(t, nil)
	end := metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second))
	l := readyListener(t, ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.CryptoPolicy = v1alpha1.CryptoLegacy2026
		l.Spec.CryptoPolicyExpirationTime = &end
		l.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
	})
	u := newUser(ns, "acme", func(u *v1alpha1.SFTPUser) { u.Spec.ExpirationTime = &end })
	create(t, u)
	waitReady(t, u)
	wakes := 0
	wake := func() {
		wakes++
		change(t, l, func(l *v1alpha1.SFTPListener) { l.Spec.Limits.MaxConnections = new(int32(100 + wakes)) })
	}
	inEffect := func(want v1alpha1.CryptoPolicy) {
		t.Helper()
		eventually(t, func() error {
			get(t, l, ns, l.Name)
			if l.Status.CryptoPolicy != want {
				return fmt.Errorf("crypto policy %s, want %s", l.Status.CryptoPolicy, want)
			}
			return nil
		})
	}
	inEffect(v1alpha1.CryptoLegacy2026)
	clock.jump(t, 2*time.Hour)
	wake()
	waitFor(t, u, "Accepted", "False", "Expired", "")
	waitFor(t, l, "Accepted", "True", "CryptoPolicyExpired", "")
	inEffect(v1alpha1.CryptoModern2026)
	other := newUser(ns, "other")
	create(t, other)
	waitReady(t, other)

	clock.jump(t, -26*time.Hour) // a day back
	wake()
	waitReady(t, u)
	waitFor(t, l, "Accepted", "True", "Accepted", "")
	inEffect(v1alpha1.CryptoLegacy2026)
	third := newUser(ns, "third")
	create(t, third)
	waitReady(t, third)
	if got := eventsOf(t, ns, "CryptoPolicyExpired"); len(got) != 1 {
		t.Errorf("%d events report that the policy ended: %q", len(got), got)
	}
}
