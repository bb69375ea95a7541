package key

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/record"
)

// recordOf returns the Secret with the record of listener "partners", which had the key as its host key.
func recordOf(t *testing.T, k *v1alpha1.SFTPKey, m Material, uid types.UID, pending bool) *corev1.Secret {
	t.Helper()
	rec := record.Record{UID: uid, KeysPending: pending, HostKeys: []record.HostKey{{Name: k.Name, Revision: 1, Fingerprint: m.Fingerprint()}}}
	data, err := rec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: record.SecretName("partners"), Labels: map[string]string{v1alpha1.LabelRecord: "partners"}},
		Type:       record.SecretType, Data: map[string][]byte{record.Entry: data},
	}
}

// A host key that a listener had before it was recreated is waited for. One that the current listener has given up is not.
func TestRecordedKeyIsNotMadeAgain(t *testing.T) {
	lost := pair(t)
	today := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "partners", UID: "today"}}
	for name, tc := range map[string]struct {
		listener *v1alpha1.SFTPListener
		uid      types.UID
		pending  bool
		edit     func(*v1alpha1.SFTPKey)
		waits    bool
	}{
		"the listener is still to come":      {nil, "yesterday", false, nil, true},
		"the listener was made again":        {today, "yesterday", false, nil, true},
		"it has not taken its keys up":       {today, "today", true, nil, true},
		"it is the same":                     {today, "today", false, nil, false},
		"it had another revision":            {today, "today", true, func(k *v1alpha1.SFTPKey) { k.Status.Revision = 2 }, false},
		"it is a client's key of that name":  {today, "today", true, func(k *v1alpha1.SFTPKey) { k.Spec.Usage = v1alpha1.KeyUsageClient }, false},
		"another key of the namespace waits": {today, "today", true, func(k *v1alpha1.SFTPKey) { k.Name = "other" }, false},
	} {
		k := hostKey()
		s := recordOf(t, k, lost, tc.uid, tc.pending)
		if tc.edit != nil {
			tc.edit(k)
		}
		r := newRig(t, k, s)
		if tc.listener != nil {
			if err := r.all.Create(t.Context(), tc.listener.DeepCopy()); err != nil {
				t.Fatal(err)
			}
		}
		k, _ = r.settle(k)
		if waits := strings.Contains(ready(k), `False SecretNotFound: Secret "host" does not exist, but SFTPListener "partners" had the key `+lost.Fingerprint()); waits != tc.waits {
			t.Errorf("%s: %s", name, ready(k))
		}
		if made := k.Status.PublicKey != ""; made == tc.waits {
			t.Errorf("%s: a key was made: %v", name, made)
		}
	}
}

// A key that was made before the backup arrived is replaced by the recorded one, and by no other.
func TestRecordedKeyComesBack(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		r := newRig(t, hostKey())
		k, _ := r.settle(hostKey())
		made := k.Status.Fingerprint
		backup := pair(t)
		s := r.secretNamed(k, "host")
		s.Data[PrivateEntry], s.Data[PublicEntry] = backup.Private, []byte(backup.Line()+"\n")
		r.update(s, false)
		if k, _ = r.settle(k); !strings.HasPrefix(ready(k), "False InvalidKey") || k.Status.Fingerprint != made {
			t.Errorf("without a record: %s", ready(k))
		}
		had := backup
		if !recorded {
			had = pair(t)
		}
		if err := r.all.Create(t.Context(), recordOf(t, k, had, "yesterday", true)); err != nil {
			t.Fatal(err)
		}
		r.told()
		k, _ = r.settle(k)
		if back := k.Status.Fingerprint == backup.Fingerprint() && strings.HasPrefix(ready(k), "True Ready"); back != recorded {
			t.Errorf("recorded %v: %s, %s", recorded, k.Status.Fingerprint, ready(k))
		}
		if told := strings.Join(r.told(), " "); strings.Contains(told, "Normal KeyRestored") != recorded {
			t.Errorf("recorded %v: %s", recorded, told)
		}
	}
}

func TestRecordWakesHostKeys(t *testing.T) {
	client := named(func(k *v1alpha1.SFTPKey) { k.Namespace = "platform" })
	r := newRig(t, hostKey(), client)
	got := r.keysOfSecret(t.Context(), recordOf(t, hostKey(), pair(t), "yesterday", true))
	if len(got) != 1 || got[0].Name != "host" {
		t.Errorf("%v", got)
	}
}
