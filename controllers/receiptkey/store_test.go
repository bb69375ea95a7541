package receiptkey

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
)

// TestContent: a Secret's keys are those that can have signed receipts, with their real fingerprints. Anything else is left
// out without affecting them.
func TestContent(t *testing.T) {
	private, a := generate(t)
	_, b := generate(t)
	rsa, err := key.Generate(v1alpha1.KeyRSA4096, "other")
	if err != nil {
		t.Fatal(err)
	}
	other := a
	other.Fingerprint, other.PublicKey = rsa.Fingerprint(), rsa.Line()
	renamed, commented, timeless := a, a, a
	renamed.Fingerprint = b.Fingerprint
	commented.PublicKey += " someone@example.com"
	timeless.StartTime = nil
	entry := func(keys ...v1alpha1.ReceiptKeyStatus) string {
		raw, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, tc := range map[string]struct {
		entry string
		want  []v1alpha1.ReceiptKeyStatus
	}{
		"none":                     {"", nil},
		"two":                      {entry(a, ended(b, noon)), []v1alpha1.ReceiptKeyStatus{a, ended(b, noon)}},
		"one that is damaged":      {entry(a, v1alpha1.ReceiptKeyStatus{PublicKey: "ssh-ed25519 AAAA", StartTime: a.StartTime}, b), []v1alpha1.ReceiptKeyStatus{a, b}},
		"one of another type":      {entry(other, b), []v1alpha1.ReceiptKeyStatus{b}},
		"one without a beginning":  {entry(timeless, b), []v1alpha1.ReceiptKeyStatus{b}},
		"with another fingerprint": {entry(renamed), []v1alpha1.ReceiptKeyStatus{a}},
		"with a comment":           {entry(commented), []v1alpha1.ReceiptKeyStatus{a}},
		"no list":                  {"{}", nil},
		"a list of something else": {strings.TrimSuffix(entry(a), "]") + ",7]", nil},
		"as long as it may be":     {strings.Repeat(" ", maxKeysEntry-len(entry(a))) + entry(a), []v1alpha1.ReceiptKeyStatus{a}},
		"too long":                 {strings.Repeat(" ", maxKeysEntry-len(entry(a))+1) + entry(a), nil},
	} {
		got := Content(&corev1.Secret{Data: map[string][]byte{KeysEntry: []byte(tc.entry), PrivateEntry: private}})
		if !same(got.Keys, tc.want) || string(got.Private) != string(private) {
			t.Errorf("%s: %+v, want %+v", name, got.Keys, tc.want)
		}
	}
}

// TestStored: what is written can be read, also by a recreated listener, and a Secret of something else is neither read nor
// overwritten.
func TestStored(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "files", UID: "1"}}
	if s, err := Read(t.Context(), c, l); s != nil || err != nil || Content(s) != nil {
		t.Errorf("before: %v, %v", s, err)
	}
	private, a := generate(t)
	content := &Stored{Private: private, Keys: []v1alpha1.ReceiptKeyStatus{a}}
	if _, err := Write(t.Context(), c, l, content, nil); err != nil {
		t.Fatal(err)
	}
	l.UID = "2"
	s, err := Read(t.Context(), c, l)
	if err != nil {
		t.Fatal(err)
	}
	if got := Content(s); !same(got.Keys, content.Keys) || string(got.Private) != string(private) || s.Type != "sftp-operator.io/receipt-key" {
		t.Errorf("%+v of %s", got, s.Type)
	}
	if _, err := Write(t.Context(), c, l, content, nil); !apierrors.IsAlreadyExists(err) {
		t.Errorf("over one that was not read: %v", err)
	}
	for name, change := range map[string]func(*corev1.Secret){
		"another listener's": func(s *corev1.Secret) { s.Labels[v1alpha1.LabelReceiptKey] = "other" },
		"without the label":  func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelReceiptKey) },
	} {
		foreign := s.DeepCopy()
		change(foreign)
		foreign.ResourceVersion = ""
		if _, err := Read(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(foreign).Build(), l); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTimes: a replaced key is valid for another hour, by clocks that may be ten minutes off, and the newest keys of both
// lists come first.
func TestTimes(t *testing.T) {
	private, _ := generate(t)
	_, a := generate(t)
	_, b := generate(t)
	older := ended(a, noon.Add(-time.Hour))
	older.StartTime = new(metav1.NewTime(noon.Add(-48 * time.Hour)))
	plan, err := Decide(Input{Wanted: true, Stored: &Stored{Private: private, Keys: []v1alpha1.ReceiptKeyStatus{older}}, Reported: []v1alpha1.ReceiptKeyStatus{b}, Now: noon})
	if err != nil || len(plan.Keys) != 3 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if second := plan.Keys[1]; second.Fingerprint != b.Fingerprint || !second.EndTime.Equal(new(metav1.NewTime(noon.Add(time.Hour)))) {
		t.Errorf("%+v", second)
	}
	if third := plan.Keys[2]; third.Fingerprint != older.Fingerprint || !third.EndTime.Equal(older.EndTime) {
		t.Errorf("%+v", third)
	}
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "files"}}
	lines := strings.Join(AllowedSigners(l, []v1alpha1.ReceiptKeyStatus{ended(from(a), noon.Add(time.Hour))}), "\n")
	if !strings.Contains(lines, `valid-after="20261130115000Z"`) || !strings.Contains(lines, `valid-before="20261130131000Z"`) {
		t.Error(lines)
	}
}
