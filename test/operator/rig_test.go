package operator

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// rig is a namespace with a listener that uses every feature, and users of every kind.
type rig struct {
	ns       string
	listener *v1alpha1.SFTPListener
	// changes counts changes, so that each one is different.
	changes int
	// doomed is the login that is deleted next.
	doomed string
}

// bystanders are the users that must not be affected.
var bystanders = []string{"by-key", "by-two", "by-password"}

func newRig(t *testing.T) *rig {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("ns-%d", namespaces.Add(1))}}
	create(t, ns)
	r := &rig{ns: ns.Name, doomed: "doomed-0"}
	for name, entry := range map[string]string{"keys": "authorized_keys", "password": "password", "totp": "totp", "static": "password"} {
		create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name}, StringData: map[string]string{entry: r.content(entry)}})
	}
	for _, name := range []string{"revoked", "cas"} {
		create(t, listSecret(r.ns, name, publicKey(r.ns+name)+"\n"))
	}
	r.listener = newListener(r.ns, func(l *v1alpha1.SFTPListener) {
		l.Spec.Replicas = new(int32(2))
		l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "home", ClaimTemplate: &v1alpha1.ClaimTemplate{
			AccessModes: []v1alpha1.AccessMode{"ReadWriteMany"}, Storage: resource.MustParse("1Gi"),
		}}}
		l.Spec.Hostnames = []v1alpha1.Host{"sftp.example.com"}
		l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "revoked", Key: "list"}}
		l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "list"}}
	})
	create(t, r.listener)
	for _, pod := range []string{"a", "b"} {
		readyPod(t, r.listener, pod)
	}
	create(t, partnerKey(r.ns, "assigned", r.ns+"assigned", assignedTo("by-sftpkey")))
	for _, u := range []*v1alpha1.SFTPUser{
		newUser(r.ns, "by-key"), newUser(r.ns, "by-two"), newUser(r.ns, "by-password", withoutKeys, withPassword("static")),
		newUser(r.ns, "by-sftpkey"), newUser(r.ns, "changing"),
		newUser(r.ns, "with-keys", func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys"}}
		}),
		newUser(r.ns, "with-password", withoutKeys, withPassword("password")),
		newUser(r.ns, "with-totp", func(u *v1alpha1.SFTPUser) {
			u.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "totp"}
		}),
		newUser(r.ns, r.doomed), newUser(r.ns, "suspended"),
	} {
		create(t, u)
	}
	r.healthy(t)
	return r
}

// dismantle deletes what the operator reconciles: a listener that is left broken would take part in the rollouts of other tests.
func (r *rig) dismantle(t *testing.T) {
	t.Helper()
	for _, o := range allKinds() {
		if err := api.DeleteAllOf(context.Background(), o, client.InNamespace(r.ns)); err != nil {
			t.Error(err)
		}
	}
}

// content returns an entry's content, which is different each time.
func (r *rig) content(entry string) string {
	r.changes++
	switch entry {
	case "authorized_keys":
		return publicKey(fmt.Sprint(r.ns, r.changes))
	case "totp":
		return fmt.Sprintf("GEZDGNBVGY3TQOJQGEZDGNBVGY3T%s", []string{"AAAA", "BBBB", "CCCC", "DDDD"}[r.changes%4])
	}
	return fmt.Sprintf("correct horse battery %d", r.changes)
}

// healthy waits until everything is as it should be.
func (r *rig) healthy(t *testing.T) {
	t.Helper()
	within(t, time.Minute, func() error {
		for _, list := range []client.ObjectList{&v1alpha1.SFTPListenerList{}, &v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}} {
			for _, o := range items(t, list, r.ns) {
				for _, kind := range []string{"Ready", "ResolvedRefs", "Programmed", "ObjectsApplied"} {
					c := meta.FindStatusCondition(conditionsOf(o), kind)
					switch {
					case c == nil && kind == "Ready":
						return fmt.Errorf("%T %s has no condition Ready", o, o.GetName())
					case c != nil && (c.Status != metav1.ConditionTrue || c.ObservedGeneration != o.GetGeneration()):
						return fmt.Errorf("%T %s: %s is %s of generation %d: %s", o, o.GetName(), kind, c.Status, c.ObservedGeneration, c.Message)
					}
				}
			}
		}
		logins := pods.logins(r.ns)
		for _, name := range append([]string{r.doomed, "suspended"}, bystanders...) {
			if _, ok := logins[name]; !ok {
				return fmt.Errorf("pods do not have %s", name)
			}
		}
		return nil
	})
}

// unaffected returns the conditions of objects that a fault must not affect.
func (r *rig) unaffected(t *testing.T) map[string][]metav1.Condition {
	t.Helper()
	out := map[string][]metav1.Condition{}
	for _, name := range bystanders {
		u := &v1alpha1.SFTPUser{}
		get(t, u, r.ns, name)
		out[name] = u.Status.Conditions
	}
	return out
}

// compare fails if one of these conditions has changed its status.
func (r *rig) compare(t *testing.T, when string, before map[string][]metav1.Condition) {
	t.Helper()
	for name, now := range r.unaffected(t) {
		if !reflect.DeepEqual(now, before[name]) {
			t.Errorf("%s, conditions of %s were\n\t%+v\nand are now\n\t%+v", when, name, before[name], now)
		}
	}
}

// revoke deletes one login and suspends another, and waits until no pod has either.
func (r *rig) revoke(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	remove(t, newUser(r.ns, r.doomed))
	change(t, newUser(r.ns, "suspended"), func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserSuspended })
	return r.gone(t, begin, limit)
}

func (r *rig) gone(t *testing.T, begin time.Time, limit time.Duration) time.Duration {
	t.Helper()
	for {
		logins := loadable(t, r.listener)
		took := time.Since(begin)
		if logins != nil && !logins[r.doomed] && !logins["suspended"] {
			if took > limit {
				t.Errorf("logins are gone from the pods after %s", took)
			}
			return took
		}
		if took > 20*slowness() {
			t.Fatalf("after %s pods still have: the deleted login %t, the suspended one %t", took, logins[r.doomed], logins["suspended"])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// loadable returns the login names that a pod of a listener has if it loads the current configuration; nil if it would keep its
// own, because the current one is inconsistent.
func loadable(t *testing.T, l *v1alpha1.SFTPListener) map[string]bool {
	t.Helper()
	set, err := pods.load(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: l.Namespace, Labels: map[string]string{v1alpha1.LabelListener: l.Name},
	}})
	if err != nil {
		return nil
	}
	out := map[string]bool{}
	for i := range set.Users {
		out[set.Users[i].Username] = true
	}
	return out
}

// restore undoes what revoke does.
func (r *rig) restore(t *testing.T) {
	t.Helper()
	r.changes++
	r.doomed = fmt.Sprintf("doomed-%d", r.changes)
	create(t, newUser(r.ns, r.doomed))
	change(t, newUser(r.ns, "suspended"), func(u *v1alpha1.SFTPUser) { u.Spec.State = v1alpha1.UserActive })
}

// marks are the operator's reports of a breaker's faults.
var marks = []string{"injected", "did not answer", "no answer", "internal error", "has a defect", "cannot be"}

func marked(text string) bool {
	for _, m := range marks {
		if strings.Contains(text, m) {
			return true
		}
	}
	return false
}

// said returns where the operator reports a fault, "" if nowhere.
func (r *rig) said(t *testing.T) string {
	t.Helper()
	for _, list := range []client.ObjectList{&v1alpha1.SFTPListenerList{}, &v1alpha1.SFTPUserList{}, &v1alpha1.SFTPKeyList{}} {
		for _, o := range items(t, list, r.ns) {
			for _, c := range conditionsOf(o) {
				if c.Status != metav1.ConditionTrue && marked(c.Message) {
					return fmt.Sprintf("%T %s: %s=%s %s: %s", o, o.GetName(), c.Type, c.Status, c.Reason, c.Message)
				}
			}
		}
	}
	return ""
}

// stimulus makes the operator do something, and undoes it if necessary.
type stimulus struct {
	name string
	run  func(t *testing.T, r *rig)
	undo func(t *testing.T, r *rig)
}

// lost deletes an object even if something protects it.
func lost(t *testing.T, o client.Object, ns, name string) {
	t.Helper()
	get(t, o, ns, name)
	if len(o.GetFinalizers()) > 0 {
		change(t, o, func(o client.Object) { o.SetFinalizers(nil) })
	}
	remove(t, o)
}

// stimuli cause, between them, all calls of the reconciles.
var stimuli = []stimulus{
	{name: "nothing", run: func(*testing.T, *rig) {}},
	{name: "spec", run: func(t *testing.T, r *rig) {
		r.changes++
		n := strconv.Itoa(r.changes)
		change(t, r.listener, func(l *v1alpha1.SFTPListener) {
			l.Spec.Limits.MaxConnections = new(int32(100 + r.changes))
			l.Spec.Hostnames = []v1alpha1.Host{"sftp" + n + ".example.com"}
			l.Spec.Infrastructure.Annotations = map[string]v1alpha1.AnnotationValue{"n": n}
			l.Spec.Service.Annotations = map[string]v1alpha1.AnnotationValue{"n": n}
		})
	}},
	{name: "replicas", run: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(1)) })
	}, undo: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.Replicas = new(int32(2)) })
	}},
	{name: "objects are gone", run: func(t *testing.T, r *rig) {
		for _, o := range []client.Object{&corev1.Service{}, &corev1.ServiceAccount{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{}} {
			lost(t, o, r.ns, "partners-sftp")
		}
	}},
	{name: "claim is gone", run: func(t *testing.T, r *rig) {
		for _, o := range items(t, &corev1.PersistentVolumeClaimList{}, r.ns) {
			lost(t, &corev1.PersistentVolumeClaim{}, r.ns, o.GetName())
		}
	}},
	{name: "foreign port", run: func(t *testing.T, r *rig) {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "partners-sftp"}}
		change(t, s, func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "more", Port: 2222})
		})
	}},
	{name: "Secrets of users", run: func(t *testing.T, r *rig) {
		for name, entry := range map[string]string{"keys": "authorized_keys", "password": "password", "totp": "totp"} {
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name}}
			change(t, s, func(s *corev1.Secret) { s.StringData = map[string]string{entry: r.content(entry)} })
		}
	}},
	{name: "Secrets of the listener", run: func(t *testing.T, r *rig) {
		r.changes++
		for _, name := range []string{"revoked", "cas"} {
			s := listSecret(r.ns, name, "")
			change(t, s, func(s *corev1.Secret) { s.Data["list"] = []byte(publicKey(fmt.Sprint(r.ns, name, r.changes)) + "\n") })
		}
	}},
	{name: "host key", run: func(t *testing.T, r *rig) {
		k := &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: "partners-ed25519"}}
		change(t, k, func(k *v1alpha1.SFTPKey) {
			k.Spec.Rotation.OverlapSeconds = new(int32(0))
			wantNewPair(k)
		})
	}},
	{name: "host key is gone", run: func(t *testing.T, r *rig) {
		lost(t, &v1alpha1.SFTPKey{}, r.ns, "partners-ed25519")
	}},
	{name: "client key", run: func(t *testing.T, r *rig) {
		r.changes++
		create(t, &v1alpha1.SFTPKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: fmt.Sprintf("extra-%d", r.changes)},
			Spec:       v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageClient, UserRef: &v1alpha1.LocalUserReference{Name: "changing"}},
		})
	}, undo: func(t *testing.T, r *rig) {
		remove(t, &v1alpha1.SFTPKey{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: fmt.Sprintf("extra-%d", r.changes)}})
	}},
	{name: "more users", run: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(5000)) })
	}, undo: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(1000)) })
	}},
	{name: "fewer users", run: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(100)) })
	}, undo: func(t *testing.T, r *rig) {
		change(t, r.listener, func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(1000)) })
	}},
	{name: "configuration is gone", run: func(t *testing.T, r *rig) {
		lost(t, &corev1.Secret{}, r.ns, "partners-sftp-users-00")
	}},
	{name: "user", run: func(t *testing.T, r *rig) {
		r.changes++
		change(t, newUser(r.ns, "changing"), func(u *v1alpha1.SFTPUser) { u.Spec.Limits.MaxConnections = new(int32(r.changes)) })
	}},
	{name: "new pod", run: func(t *testing.T, r *rig) {
		r.changes++
		readyPod(t, r.listener, fmt.Sprintf("new-%d", r.changes))
	}, undo: func(t *testing.T, r *rig) {
		lost(t, &corev1.Pod{}, r.ns, fmt.Sprintf("partners-sftp-new-%d", r.changes))
	}},
}

// warnings of a namespace, by their versions.
func (r *rig) warnings(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, o := range items(t, &eventsv1.EventList{}, r.ns) {
		if e := o.(*eventsv1.Event); e.Type == corev1.EventTypeWarning {
			out[e.Name+e.ResourceVersion+" "+e.Reason+": "+e.Note] = true
		}
	}
	return out
}

// allKinds returns the kinds that a test leaves behind in its namespace and that the operator reconciles.
func allKinds() []client.Object {
	return []client.Object{&v1alpha1.SFTPUser{}, &v1alpha1.SFTPListener{}, &v1alpha1.SFTPKey{}, &appsv1.Deployment{}, &appsv1.ReplicaSet{}}
}
