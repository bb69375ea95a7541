package receiptkey

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func generate(t *testing.T) ([]byte, v1alpha1.ReceiptKeyStatus) {
	t.Helper()
	m, err := key.Generate(v1alpha1.KeyEd25519, "test")
	if err != nil {
		t.Fatal(err)
	}
	return m.Private, v1alpha1.ReceiptKeyStatus{Fingerprint: m.Fingerprint(), PublicKey: m.Line(), StartTime: new(metav1.NewTime(noon.Add(-24 * time.Hour)))}
}

func ended(k v1alpha1.ReceiptKeyStatus, at time.Time) v1alpha1.ReceiptKeyStatus {
	k.EndTime = new(metav1.NewTime(at))
	return k
}

// from is a key that signs from noon on.
func from(k v1alpha1.ReceiptKeyStatus) v1alpha1.ReceiptKeyStatus {
	k.StartTime = new(metav1.NewTime(noon))
	return k
}

// TestDecide is the table of what happens to the keys of a listener.
func TestDecide(t *testing.T) {
	a, keyA := generate(t)
	b, keyB := generate(t)
	rsa, err := key.Generate(v1alpha1.KeyECDSAP256, "other")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		unwanted bool
		stored   *Stored
		reported []v1alpha1.ReceiptKeyStatus
		// signs is the key that signs, and made is set if it is a new one.
		signs []byte
		keys  []v1alpha1.ReceiptKeyStatus
		write bool
		say   string
	}{
		"first":             {signs: b, keys: []v1alpha1.ReceiptKeyStatus{from(keyB)}, write: true},
		"there":             {stored: &Stored{a, []v1alpha1.ReceiptKeyStatus{keyA}}, signs: a, keys: []v1alpha1.ReceiptKeyStatus{keyA}},
		"not noted yet":     {stored: &Stored{Private: a}, signs: a, keys: []v1alpha1.ReceiptKeyStatus{from(keyA)}, write: true},
		"from status":       {stored: &Stored{Private: a}, reported: []v1alpha1.ReceiptKeyStatus{keyA}, signs: a, keys: []v1alpha1.ReceiptKeyStatus{keyA}, write: true},
		"deleted":           {reported: []v1alpha1.ReceiptKeyStatus{keyA}, signs: b, keys: []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon.Add(Overlap))}, write: true},
		"entry deleted":     {stored: &Stored{nil, []v1alpha1.ReceiptKeyStatus{keyA}}, signs: b, keys: []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon.Add(Overlap))}, write: true},
		"replaced":          {stored: &Stored{b, []v1alpha1.ReceiptKeyStatus{keyA}}, signs: b, keys: []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon.Add(Overlap))}, write: true},
		"replaced long ago": {stored: &Stored{b, []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon)}}, signs: b, keys: []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon)}},
		"brought back":      {stored: &Stored{a, []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon)}}, signs: a, keys: []v1alpha1.ReceiptKeyStatus{keyA, ended(from(keyB), noon.Add(Overlap))}, write: true},
		"the only one":      {stored: &Stored{a, []v1alpha1.ReceiptKeyStatus{ended(keyA, noon)}}, signs: a, keys: []v1alpha1.ReceiptKeyStatus{keyA}, write: true},
		"off":               {unwanted: true, stored: &Stored{a, []v1alpha1.ReceiptKeyStatus{keyA}}, keys: []v1alpha1.ReceiptKeyStatus{keyA}},
		"off, and deleted":  {unwanted: true, reported: []v1alpha1.ReceiptKeyStatus{keyA}, keys: []v1alpha1.ReceiptKeyStatus{keyA}},
		"not a key":         {stored: &Stored{[]byte("secret words"), []v1alpha1.ReceiptKeyStatus{keyA}}, keys: []v1alpha1.ReceiptKeyStatus{keyA}, say: "not a private key"},
		"a key of a kind":   {stored: &Stored{Private: rsa.Private}, say: "must be an Ed25519 key"},
	} {
		plan, err := Decide(Input{
			Wanted: !tc.unwanted, Stored: tc.stored, Reported: tc.reported, Now: noon.Add(time.Millisecond),
			Generate: func() ([]byte, error) { return b, nil },
		})
		if err != nil || string(plan.Private) != string(tc.signs) || !same(plan.Keys, tc.keys) || (plan.Write != nil) != tc.write {
			t.Errorf("%s: signs %t, %+v, writes %t, %v", name, plan.Private != nil, plan.Keys, plan.Write != nil, err)
		}
		if !strings.Contains(plan.Problem, tc.say) || (plan.Problem == "") != (tc.say == "") || strings.Contains(plan.Problem, "secret words") {
			t.Errorf("%s: %q", name, plan.Problem)
		}
		if plan.Write != nil && (string(plan.Write.Private) != string(tc.signs) || !same(plan.Write.Keys, tc.keys)) {
			t.Errorf("%s: writes %+v", name, plan.Write.Keys)
		}
		if plan.Write == nil {
			continue
		}
		again, err := Decide(Input{Wanted: true, Stored: plan.Write, Reported: plan.Keys, Now: noon.Add(time.Hour)})
		if err != nil || again.Write != nil || !same(again.Keys, plan.Keys) {
			t.Errorf("%s: decided again: %+v, %v", name, again, err)
		}
	}
	if _, err := Decide(Input{Wanted: true, Now: noon, Generate: func() ([]byte, error) { return nil, errors.New("no random numbers") }}); err == nil {
		t.Error("no error without a key")
	}
}

// TestBound: only the newest keys are remembered, up to as many as a status may have.
func TestBound(t *testing.T) {
	_, k := generate(t)
	var many []v1alpha1.ReceiptKeyStatus
	for i := range 2 * MaxKeys {
		k.Fingerprint = "SHA256:" + strings.Repeat("x", i)
		k.StartTime = new(metav1.NewTime(noon.Add(-time.Duration(i) * time.Hour)))
		many = append(many, ended(k, noon))
	}
	private, this := generate(t)
	plan, err := Decide(Input{Wanted: true, Reported: many, Now: noon, Generate: func() ([]byte, error) { return private, nil }})
	if err != nil || len(plan.Keys) != 32 || plan.Keys[0].Fingerprint != this.Fingerprint || plan.Keys[1].Fingerprint != many[0].Fingerprint {
		t.Errorf("%d keys, %v", len(plan.Keys), err)
	}
}

// TestAllowedSigners: the lines are what the contract's verifier and ssh-keygen accept, each for its time.
func TestAllowedSigners(t *testing.T) {
	a, keyA := generate(t)
	_, keyB := generate(t)
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "files", Name: "public"}}
	file := strings.Join(AllowedSigners(l, []v1alpha1.ReceiptKeyStatus{from(keyB), ended(keyA, noon), {PublicKey: "damaged"}}), "\n") + "\n"
	signers, err := receipt.ParseAllowedSigners([]byte(file))
	if err != nil || len(signers) != 2 {
		t.Fatalf("%v: %s", err, file)
	}
	for _, tc := range []struct {
		key  v1alpha1.ReceiptKeyStatus
		at   time.Time
		want error
	}{
		{keyA, noon.Add(-time.Hour), nil},
		{keyA, noon.Add(-48 * time.Hour), receipt.ErrNotValidThen},
		{keyA, noon.Add(skew - time.Second), nil},
		{keyA, noon.Add(skew + time.Second), receipt.ErrNotValidThen},
		{keyB, noon.Add(-skew), nil}, // by a clock that is behind
		{keyB, noon.Add(-time.Hour), receipt.ErrNotValidThen},
		{keyB, noon.Add(1000 * time.Hour), nil},
	} {
		if _, err := signers.Key(&receipt.Receipt{Listener: "files/public", Key: tc.key.Fingerprint, Published: tc.at}); !errors.Is(err, tc.want) {
			t.Errorf("%s at %s: %v, want %v", tc.key.Fingerprint, tc.at, err, tc.want)
		}
	}
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no ssh-keygen, and CI=true")
		}
		t.Skip("there is no ssh-keygen")
	}
	signer, err := receipt.ParseSigner(a)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	raw := []byte("a receipt\n")
	for name, data := range map[string][]byte{"signers": []byte(file), "sig": signer.SignSSH(raw)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(at string) error {
		c := exec.CommandContext(t.Context(), keygen, "-Y", "verify", "-f", filepath.Join(dir, "signers"), "-I", "files/public", "-n", receipt.Namespace,
			"-s", filepath.Join(dir, "sig"), "-Overify-time="+at)
		c.Stdin = strings.NewReader(string(raw))
		return c.Run()
	}
	if err := verify("20261130110000Z"); err != nil {
		t.Errorf("ssh-keygen refuses: %v\n%s", err, file)
	}
	if verify("20261201110000Z") == nil {
		t.Error("ssh-keygen accepts a key that has ended")
	}
}

// FuzzContent: whatever a Secret contains, the keys fit the status and are distinct.
func FuzzContent(f *testing.F) {
	m, err := key.Generate(v1alpha1.KeyEd25519, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	line := m.Line()
	one := `{"fingerprint":"x","publicKey":"` + line + ` comment","startTime":"2026-11-30T12:00:00Z"}`
	f.Add([]byte(nil))
	f.Add([]byte("[" + one + "," + one + "]"))
	f.Add([]byte(`[{"publicKey":"ssh-ed25519 AAAA","startTime":"2026-11-30T12:00:00Z","endTime":null}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := Content(&corev1.Secret{Data: map[string][]byte{KeysEntry: raw, PrivateEntry: m.Private}})
		plan, err := Decide(Input{Wanted: true, Stored: got, Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, k := range plan.Keys {
			if seen[k.Fingerprint] || len(k.Fingerprint) > 64 || k.PublicKey == "" || len(k.PublicKey) > 1024 || k.StartTime.IsZero() {
				t.Errorf("%+v", k)
			}
			seen[k.Fingerprint] = true
		}
		if len(plan.Keys) > MaxKeys || !seen[m.Fingerprint()] || Content(nil) != nil {
			t.Errorf("%+v", plan.Keys)
		}
	})
}
