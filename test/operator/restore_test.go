package operator

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// known is what partners know about a listener.
type known struct {
	HostKeys map[string]string
	Logins   map[string]string
	Home     v1alpha1.HomeVolume
}

func (k known) String() string { return fmt.Sprintf("%v, %v, %v", k.HostKeys, k.Logins, k.Home) }

// knownOf returns what pods have for a listener, and the homes in its status.
func knownOf(t *testing.T, l *v1alpha1.SFTPListener) known {
	t.Helper()
	k := known{HostKeys: pods.hostKeys(l.Namespace), Logins: map[string]string{}}
	for name, u := range pods.logins(l.Namespace) {
		k.Logins[name] = fmt.Sprintf("%s/%s: methods %v, keys %v, password %v, mounts %v", u.Namespace, u.Name, u.Methods, u.Keys, u.Password != nil, u.Mounts)
	}
	get(t, l, l.Namespace, l.Name)
	if l.Status.HomeVolume != nil {
		k.Home = *l.Status.HomeVolume
	}
	return k
}

// waiting are users who get no login. Their names come before those of all others.
var waiting = []string{"aa", "ab", "ac"}

// partners creates a listener with a contested login name, whose volumes are in a different order than its homes, and which has
// fewer logins than users.
func partners(t *testing.T, ns string) *v1alpha1.SFTPListener {
	t.Helper()
	l := readyListener(t, ns, withClaims("data", "archive"), func(l *v1alpha1.SFTPListener) { l.Spec.MaxUsers = new(int32(4)) })
	create(t, passwordSecret(ns, "password", "correct horse battery staple"))
	create(t, partnerKey(ns, "assigned", ns+"assigned", assignedTo("by-sftpkey")))
	named := func(u *v1alpha1.SFTPUser) { u.Spec.Username = "contested" }
	for _, u := range []*v1alpha1.SFTPUser{
		newUser(ns, "zebra", named), newUser(ns, "by-key"), newUser(ns, "by-password", withoutKeys, withPassword("password")), newUser(ns, "by-sftpkey"),
	} {
		create(t, u)
		waitReady(t, u)
	}
	second := newUser(ns, "aardvark", named)
	create(t, second)
	waitRefused(t, second, "UsernameConflict", "")
	for _, name := range waiting {
		u := newUser(ns, name)
		create(t, u)
		waitRefused(t, u, "ListenerFull", "")
	}
	eventually(t, func() error {
		s := &corev1.Secret{}
		get(t, s, ns, "partners-sftp-record")
		if data := string(s.Data["record.json"]); !strings.Contains(data, `"zebra"`) || !strings.Contains(data, "SHA256:") || !strings.Contains(data, `"places":`) {
			return fmt.Errorf("the record is %s", data)
		}
		return nil
	})
	return l
}

// wipe deletes all objects of a namespace.
func wipe(t *testing.T, ns string) {
	t.Helper()
	within(t, time.Minute+30*slowness(), func() error {
		left := 0
		for _, list := range append([]client.ObjectList{&v1alpha1.SFTPListenerList{}}, ownedKinds()...) {
			for _, o := range items(t, list, ns) {
				left++
				if len(o.GetFinalizers()) > 0 { // there is no controller that would remove a claim's finalizer
					before := o.DeepCopyObject().(client.Object)
					o.SetFinalizers(nil)
					_ = api.Patch(t.Context(), o, client.MergeFrom(before))
				}
				_ = api.Delete(t.Context(), o, client.GracePeriodSeconds(0))
			}
		}
		if left > 0 {
			return fmt.Errorf("%d objects are left", left)
		}
		return nil
	})
}

// backupOf reads the files of a backup: each object separately, in the order of the files.
func backupOf(t *testing.T, dir string) (out []*unstructured.Unstructured) {
	t.Helper()
	for _, file := range []string{"objects", "secrets"} {
		found, err := filepath.Glob(filepath.Join(dir, "backup", "*-"+file+".json"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		data, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		var list unstructured.UnstructuredList
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			out = append(out, &list.Items[i])
		}
	}
	return out
}

// apply does what kubectl apply does with an object that it did not create.
func apply(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	o = o.DeepCopy()
	eventually(t, func() error {
		if api.Create(t.Context(), o.DeepCopy()) == nil {
			return nil
		}
		return api.Patch(t.Context(), o.DeepCopy(), client.RawPatch("application/merge-patch+json", data))
	})
}

// restored waits until a restored listener is as it was before.
func restored(t *testing.T, ns string, want known) {
	t.Helper()
	l := newListener(ns)
	eventually(t, func() error { return api.Get(t.Context(), client.ObjectKeyFromObject(l), l) })
	readyPod(t, l, "a")
	waitFor(t, l, "Ready", "True", "Ready", "")
	within(t, 30*slowness(), func() error {
		if got := knownOf(t, l); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("got\n%v\nwant\n%v", got, want)
		}
		return nil
	})
	loser := newUser(ns, "aardvark")
	waitRefused(t, loser, "UsernameConflict", "")
	for _, name := range waiting {
		waitRefused(t, newUser(ns, name), "ListenerFull", "")
	}
}

// Everything except the backups is lost. The objects come back in ten random orders while the operator is running, and once as
// docs/backup-restore.md says: fingerprints, homes, login names and logins are as before, including who has a login if there
// are too few.
func TestRestore(t *testing.T) {
	const ns = "sftp-demo-restore"
	create(t, &corev1.Namespace{ObjectMeta: metaOf(ns)})
	cleanUp(t, ns)
	l := partners(t, ns)
	var want known
	eventually(t, func() error {
		if want = knownOf(t, l); len(want.HostKeys) != 1 || len(want.Logins) != 4 || want.Home.Name != "data" {
			return fmt.Errorf("%v", want)
		}
		return nil
	})
	if got := want.Logins["contested"]; !strings.HasPrefix(got, ns+"/zebra:") {
		t.Fatalf("the login is %s", got)
	}

	dir := workbench(t)
	blocks := blocksOf(t, "docs/backup-restore.md")
	blocks[0] = strings.ReplaceAll(blocks[0], "sftp-demo", ns)
	back, forth := strings.Join(blocks[:5], "\n"), strings.Join(append([]string{blocks[0]}, blocks[5]), "\n")
	out, problems, err := shell(t, dir, back)
	if err != nil || !strings.Contains(out, ns+"/partners-data\n") || !strings.Contains(out, ns+"/partners-sftp-record\n") || !strings.Contains(out, ns+"/partners-ed25519\n") {
		t.Fatalf("back up: %v: %s%s", err, out, problems)
	}
	objects := backupOf(t, dir)
	seed := uint64(time.Now().UnixNano())
	for i := range uint64(10) {
		t.Run(fmt.Sprintf("order %d of seed %d", i, seed), func(t *testing.T) {
			wipe(t, ns)
			r := rand.New(rand.NewPCG(seed, i))
			var order []string
			for _, n := range r.Perm(len(objects)) {
				apply(t, objects[n])
				order = append(order, objects[n].GetKind()+"/"+objects[n].GetName())
				if r.IntN(2) == 0 { // the operator may be faster than the next object
					time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
				}
			}
			t.Log(strings.Join(order, " "))
			restored(t, ns, want)
		})
	}
	// The worst order: everything that could cause something visible to clients comes before the record.
	t.Run("the record last", func(t *testing.T) {
		wipe(t, ns)
		last := slices.Clone(objects)
		slices.SortStableFunc(last, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
		for _, o := range last {
			apply(t, o)
			if o.GetKind() == "SFTPListener" {
				l := newListener(ns)
				eventually(t, func() error { return api.Get(t.Context(), client.ObjectKeyFromObject(l), l) })
				readyPod(t, l, "first")
				waitFor(t, l, "Ready", "True", "Ready", "")
				if got := pods.hostKeys(ns); maps.Equal(got, want.HostKeys) {
					t.Error("no other key was created, so the test proves nothing")
				}
			}
		}
		restored(t, ns, want)
	})
	t.Run("as documented", func(t *testing.T) {
		wipe(t, ns)
		if out, problems, err := shell(t, dir, forth); err != nil {
			t.Fatalf("restore: %v: %s%s", err, out, problems)
		}
		restored(t, ns, want)
		out, problems, err := shell(t, dir, blocks[0]+"\n"+blocks[6])
		for fingerprint := range want.HostKeys {
			if err != nil || !strings.Contains(out, "partners ssh-ed25519 "+fingerprint) {
				t.Errorf("check: %v: %s%s", err, out, problems)
			}
		}
	})
}

// rank orders listeners, users by their names, keys, Secrets, the record.
func rank(o *unstructured.Unstructured) int {
	switch o.GetKind() {
	case "SFTPListener":
		return 0
	case "SFTPUser":
		return 1
	case "SFTPKey":
		return 2
	}
	if o.GetLabels()[v1alpha1.LabelRecord] != "" {
		return 4
	}
	return 3
}

// A generated host key whose Secret has not been restored yet is not generated again, and its status says what is missing.
func TestHostKeyIsWaitedFor(t *testing.T) {
	ns := namespace(t, nil)
	l := readyListener(t, ns, withClaims("data"))
	fingerprint := l.Status.HostKeys[0].Fingerprint
	record, secret := &corev1.Secret{}, &corev1.Secret{}
	eventually(t, func() error {
		get(t, record, ns, "partners-sftp-record")
		if !strings.Contains(string(record.Data["record.json"]), fingerprint) {
			return fmt.Errorf("the record is %s", record.Data["record.json"])
		}
		return nil
	})
	get(t, secret, ns, "partners-ed25519")
	wipe(t, ns)
	for _, s := range []*corev1.Secret{record, secret} {
		s.ResourceVersion, s.UID = "", ""
	}
	create(t, record)
	again := newListener(ns, withClaims("data"))
	create(t, again)
	k := &v1alpha1.SFTPKey{ObjectMeta: metaOf("partners-ed25519")}
	k.Namespace = ns
	message := `Secret "partners-ed25519" does not exist, but SFTPListener "partners" had the key ` + fingerprint +
		` in it, which clients know; restore it from a backup, or delete Secret "partners-sftp-record" to have a new key generated`
	eventually(t, func() error { return api.Get(t.Context(), client.ObjectKeyFromObject(k), k) })
	waitFor(t, k, "Ready", "False", "SecretNotFound", message)
	waitFor(t, again, "ResolvedRefs", "False", "HostKeyNotFound", `SFTPKey "partners-ed25519": `+message)
	create(t, secret)
	readyPod(t, again, "b")
	waitFor(t, again, "Ready", "True", "Ready", "")
	if got := states(again); got != "partners-ed25519 Active" && again.Status.HostKeys[0].Fingerprint != fingerprint {
		t.Errorf("host keys %s", got)
	}
}

// The operator does not wait for a host key whose SFTPKey has deletionPolicy: Delete, since its Secret was deleted with it:
// `kubectl delete -f` and `kubectl apply -f` of the same file bring the listener back, with a new key.
func TestDeletedHostKeyIsNotWaitedFor(t *testing.T) {
	ns := namespace(t, nil)
	hostKey := func() *v1alpha1.SFTPKey {
		k := &v1alpha1.SFTPKey{ObjectMeta: metaOf("host"), Spec: v1alpha1.SFTPKeySpec{Usage: v1alpha1.KeyUsageHost, DeletionPolicy: v1alpha1.Delete}}
		k.Namespace = ns
		return k
	}
	withKey := func(l *v1alpha1.SFTPListener) { l.Spec.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "host"}} }
	create(t, hostKey())
	l := readyListener(t, ns, withKey, withClaims("data"))
	fingerprint := l.Status.HostKeys[0].Fingerprint
	record := &corev1.Secret{}
	get(t, record, ns, "partners-sftp-record")
	// The SFTPKey is deleted first, and the listener is reconciled once more in between.
	remove(t, hostKey())
	waitFor(t, l, "ResolvedRefs", "False", "HostKeyNotFound", "")
	get(t, record, ns, "partners-sftp-record")
	if strings.Contains(string(record.Data["record.json"]), fingerprint) {
		t.Errorf("the record is %s", record.Data["record.json"])
	}
	wipe(t, ns)
	record.ResourceVersion, record.UID = "", ""
	create(t, record)
	create(t, hostKey())
	again := newListener(ns, withKey, withClaims("data"))
	create(t, again)
	readyPod(t, again, "b")
	waitFor(t, again, "Ready", "True", "Ready", "")
	if got := again.Status.HostKeys[0].Fingerprint; got == fingerprint {
		t.Errorf("the same key: %s", got)
	}
}

func metaOf(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
