package key

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// Text written by a CA is shown as far as it is plain text, up to the API's limit.
func TestWhatACertificateSays(t *testing.T) {
	for in, want := range map[string]string{
		"a b~c": "a b~c", "a\x1fb\x7fc\x80é\n": "abc", strings.Repeat("x", 200): strings.Repeat("x", 128), "\x00": "",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
	ca, m := authority(t), pair(t)
	m = certified(t, m, ca, func(c *ssh.Certificate) {
		c.ValidPrincipals = []string{"\x00", "a\x07"}
		for i := range 40 {
			c.ValidPrincipals = append(c.ValidPrincipals, fmt.Sprint("host-", i))
		}
	})
	m.Certificate = slices.Concat([]byte("\n\n  "), m.Certificate, []byte("\n\n"))
	_, status, _ := certificateCondition(m, metav1.Condition{}, began)
	if status == nil || len(status.Principals) != 31 || status.Principals[0] != "a" || status.Principals[30] != "host-29" || !status.ExpirationTime.Time.Equal(began.Add(240*time.Hour)) {
		t.Errorf("%+v", status)
	}
}

// A long certificate is due for renewal a week before it expires, to the second.
func TestWeekBeforeItsEnd(t *testing.T) {
	m := certified(t, pair(t), authority(t), func(c *ssh.Certificate) { c.ValidBefore += 90 * 86400 })
	soon := began.Add(93 * day)
	ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "m")
	if c, _, next := certificateCondition(m, ready, soon.Add(-time.Second)); c.Reason != "Ready" || !next.Equal(soon) {
		t.Errorf("%s, again at %s", c.Reason, next)
	}
}

func TestRevisions(t *testing.T) {
	fresh := func(k *v1alpha1.SFTPKey) { k.Status = v1alpha1.SFTPKeyStatus{} }
	for name, tc := range map[string]struct {
		key  *v1alpha1.SFTPKey
		want int32
		due  int32
	}{
		"new":                          {madeKey(fresh), 1, 0},
		"new, and a time":              {madeKey(fresh, wanting(time.Minute)), 1, 0},
		"taken up":                     {madeKey(fresh, inUse(1), wanting(time.Minute)), 1, 0},
		"taken up later":               {madeKey(fresh, inUse(3), wanting(time.Minute)), 3, 0},
		"of no source, and one is due": {madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.Source = "" }, wanting(time.Minute)), 1, 2},
		"existing":                     {madeKey(existing, wanting(time.Minute)), 1, 0},
	} {
		if got := Revision(tc.key); got != tc.want {
			t.Errorf("%s: revision %d, want %d", name, got, tc.want)
		}
		if got := due(tc.key, began.Add(time.Hour)); got != tc.due {
			t.Errorf("%s: revision %d is due, want %d", name, got, tc.due)
		}
	}
	if got := SecretName(madeKey(existing, inUse(3))); got != "acme" {
		t.Errorf("the Secret of one that was generated before is %q", got)
	}
	if got := revisionOfSecret("host", "host-r2147483647"); got != 2147483647 {
		t.Errorf("the last revision is read as %d", got)
	}
	for name, edit := range map[string]func(*v1alpha1.SFTPKey){
		"existing":     existing,
		"manual":       func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.Policy = v1alpha1.RotationManual },
		"no period":    func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.PeriodSeconds = nil },
		"not made yet": func(k *v1alpha1.SFTPKey) { k.Status.RevisionTime = nil },
		"in the spec":  func(k *v1alpha1.SFTPKey) { k.Spec.Source = v1alpha1.KeyPublicKey },
	} {
		if got := nextRotation(madeKey(daily, edit)); got != nil {
			t.Errorf("%s: rotates at %v", name, got)
		}
	}
}

// Without an overlap nothing retires. The key is evaluated again at the earliest end of several.
func TestEndsOfPairs(t *testing.T) {
	for overlap, want := range map[int32]int{0: 0, 1: 1} {
		k := madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.Rotation.OverlapSeconds = new(overlap) })
		if retire(k, 2, pair(t), new(metav1.NewTime(began)), began); len(k.Status.Retiring) != want {
			t.Errorf("overlap of %d s: %+v", overlap, k.Status.Retiring)
		}
	}
	at := func(h int) *metav1.Time { return new(metav1.NewTime(began.Add(time.Duration(h) * time.Hour))) }
	k := madeKey()
	k.Status.Retiring = []v1alpha1.RetiringKey{{EndTime: at(7)}, {}, {EndTime: at(2)}, {EndTime: at(3)}, {EndTime: at(-1)}}
	if got := next(k, began); !got.Equal(began.Add(2 * time.Hour)) {
		t.Errorf("looks again at %s", got)
	}
}

func TestSentencesAboutHolders(t *testing.T) {
	in := func(state v1alpha1.KeyState, users ...string) (out []Holder) {
		for _, u := range users {
			out = append(out, holder(u, state, ""))
		}
		return out
	}
	ready := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "as it is")
	blocked := conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonRotationBlocked, "blocked")
	end := new(metav1.NewTime(began.Add(time.Hour).In(time.FixedZone("CET", 3600))))
	for _, tc := range []struct {
		ready    metav1.Condition
		end      *metav1.Time
		holdings Holdings
		want     string
	}{
		{ready, nil, Holdings{Holders: in(v1alpha1.KeyRevoked, "a", "b")}, `KeyRevoked: The listener of SFTPUser "a", "b" has revoked the key, in spec.revokedKeys or in a list that it names; create a new one`},
		{ready, nil, Holdings{Holders: in(v1alpha1.KeyWeak, "a", "b")}, `WeakKey: The cryptoPolicy of the listener of SFTPUser "a", "b" does not allow the key; create a new one, preferably Ed25519`},
		{ready, end, Holdings{Holders: in(v1alpha1.KeyExpiring, "a")}, "KeyExpiring: The key expires at 2026-11-25T13:00:00Z; give the user a new one before then, or set a later spec.expirationTime"},
		{ready, nil, Holdings{Holders: in(v1alpha1.KeyExpiring, "a")}, "Ready: as it is"},
		{ready, end, Holdings{}, "Ready: as it is"},
		{ready, nil, Holdings{Holders: in(v1alpha1.KeyUnused, "a", "b")}, `KeyUnused: The key has not been used recently; delete it if SFTPUser "a", "b" no longer needs it`},
		{blocked, nil, Holdings{Holders: in(v1alpha1.KeyUnused, "a")}, "RotationBlocked: blocked"},
		{ready, nil, Holdings{}, "Ready: as it is"},
	} {
		k := madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.ExpirationTime = tc.end })
		tc.holdings.Now = began
		got, assigned := tc.holdings.Judge(k, tc.ready)
		if text := got.Reason + ": " + got.Message; text != tc.want || assigned != nil {
			t.Errorf("%q, want %q", text, tc.want)
		}
	}
	// The SFTPKey that assigns the key is this one, as it was before its userRef changed.
	k := madeKey(func(k *v1alpha1.SFTPKey) { k.Spec.UserRef = &v1alpha1.LocalUserReference{Name: "new"} })
	h := Holdings{UserExists: true, Owner: &Client{Name: k.Name, User: "old"}, Now: began}
	if _, assigned := h.Judge(k, ready); assigned.Reason != "Assigned" {
		t.Errorf("%+v", assigned)
	}
}

// The label finds what an earlier operator has created, so it never changes.
func TestLabelOfALongName(t *testing.T) {
	const want = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn_"
	if got := labelOf(strings.Repeat("n", 64)); len(got) != 63 || !strings.HasPrefix(got, want) || got[31:] != "ce068a195ab380a813c713035ed74921" {
		t.Errorf("%q", got)
	}
	if got := labelOf(strings.Repeat("n", 63)); got != strings.Repeat("n", 63) {
		t.Errorf("%q", got)
	}
}

func TestInvalidPublicKey(t *testing.T) {
	v := Decide(named(func(k *v1alpha1.SFTPKey) { k.Spec.Source, k.Spec.PublicKey = v1alpha1.KeyPublicKey, "x" }), nil)
	const want = `spec.publicKey: not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`
	if c := v.Condition; c.Status != "False" || c.Reason != "InvalidPublicKey" || c.Message != want {
		t.Errorf("%+v", c)
	}
}

// A certificate must be usable under each of the policies that follow.
func TestCertificateUnderPolicies(t *testing.T) {
	weak, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ssh.NewSignerFromKey(weak)
	if err != nil {
		t.Fatal(err)
	}
	modern, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := cryptopolicy.Lookup(cryptopolicy.Strict2026)
	if err != nil {
		t.Fatal(err)
	}
	m := certified(t, pair(t), ca)
	if c, err := HostCertificateUnder(m, []cryptopolicy.Policy{modern}); err != nil || c == nil {
		t.Errorf("%v, %v", c, err)
	}
	for _, policies := range [][]cryptopolicy.Policy{{strict}, {strict, modern}, {modern, strict}} {
		if c, err := HostCertificateUnder(m, policies); err == nil || c != nil {
			t.Errorf("under Strict2026: %v, %v", c, err)
		}
	}
	if c, err := HostCertificateUnder(pair(t), []cryptopolicy.Policy{modern, strict}); c != nil || err != nil {
		t.Errorf("without one: %v, %v", c, err)
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	if _, err := Generate("DSA", ""); err == nil || err.Error() != `algorithm "DSA" is not known` {
		t.Error(err)
	}
}

// keyringKey returns a key in the spec, made a few minutes after the start.
func keyringKey(name, user string, m Material, minutes int, edits ...func(*v1alpha1.SFTPKey)) v1alpha1.SFTPKey {
	k := publicKeyOf(name, user, m, minutes)
	for _, edit := range edits {
		edit(k)
	}
	return *k
}

func TestRing(t *testing.T) {
	m, other, third := pair(t), pair(t), pair(t)
	damaged := func(k *v1alpha1.SFTPKey) { k.Spec.PublicKey = "ssh-ed25519 AAAA" }
	going := func(k *v1alpha1.SFTPKey) { k.DeletionTimestamp = new(metav1.NewTime(began)) }
	keys := []v1alpha1.SFTPKey{
		keyringKey("younger", "ada", m, 5), keyringKey("b", "ada", other, 3), keyringKey("a", "eve", other, 3), keyringKey("older", "ada", m, 1),
		keyringKey("nobody's", "", third, 0), keyringKey("damaged", "ada", m, 0, damaged), keyringKey("going", "ada", third, 0, going),
	}
	r := NewKeyring(keys)
	var names []string
	for _, c := range r.Of("ada") {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, []string{"damaged", "older", "b", "younger"}) || len(r.Of("eve")) != 1 || r.Of("") != nil || r.Of("bob") != nil {
		t.Errorf("keys of ada are %v", names)
	}
	if r.Owner(m.Fingerprint()).Name != "older" || r.Owner(other.Fingerprint()).Name != "a" || r.Owner(third.Fingerprint()) != nil {
		t.Errorf("%+v", r.owners)
	}
	slices.Reverse(keys)
	if NewKeyring(keys).Stamp() != r.Stamp() || r.Stamp() == NewKeyring(slices.Delete(slices.Clone(keys), 1, 2)).Stamp() || r.Stamp() == NewKeyring(keys[:len(keys)-1]).Stamp() {
		t.Error("the stamp depends on the order, or not on all keys")
	}
	var none *Keyring
	if none.Of("ada") != nil || none.Owner(m.Fingerprint()) != nil || none.Stamp() != "" {
		t.Error("a nil keyring is not empty")
	}
}

// The stamp covers everything that a login depends on.
func TestStampOfAKey(t *testing.T) {
	m, old := pair(t), pair(t)
	end := func(h int) *metav1.Time { return new(metav1.NewTime(began.Add(time.Duration(h) * time.Hour))) }
	retiring := func(k *v1alpha1.SFTPKey) {
		k.Status.Retiring = []v1alpha1.RetiringKey{{PublicKey: old.Line(), EndTime: end(2)}}
	}
	changes := map[string]func(*v1alpha1.SFTPKey){
		"as it is":   func(*v1alpha1.SFTPKey) {},
		"name":       func(k *v1alpha1.SFTPKey) { k.Name = "z" },
		"user":       func(k *v1alpha1.SFTPKey) { k.Spec.UserRef.Name = "eve" },
		"no user":    func(k *v1alpha1.SFTPKey) { k.Spec.UserRef = nil },
		"begins":     func(k *v1alpha1.SFTPKey) { k.Spec.NotBefore = end(-1) },
		"ends":       func(k *v1alpha1.SFTPKey) { k.Spec.ExpirationTime = end(5) },
		"key":        func(k *v1alpha1.SFTPKey) { k.Spec.PublicKey = old.Line() },
		"comment":    func(k *v1alpha1.SFTPKey) { k.Spec.PublicKey += " ada@laptop" },
		"network":    func(k *v1alpha1.SFTPKey) { k.Spec.From = []string{"192.0.2.0/24"} },
		"problem":    func(k *v1alpha1.SFTPKey) { k.Spec.PublicKey = "x" },
		"no client":  func(k *v1alpha1.SFTPKey) { k.Spec.Usage = v1alpha1.KeyUsageHost },
		"retiring":   retiring,
		"ends later": func(k *v1alpha1.SFTPKey) { retiring(k); k.Status.Retiring[0].EndTime = end(3) },
		"two retire": func(k *v1alpha1.SFTPKey) {
			retiring(k)
			k.Status.Retiring = append(k.Status.Retiring, v1alpha1.RetiringKey{PublicKey: m.Line(), EndTime: end(3)})
		},
	}
	seen := map[string]string{}
	for what, change := range changes {
		stamp := NewKeyring([]v1alpha1.SFTPKey{keyringKey("a", "ada", m, 0, change)}).Stamp()
		if before, ok := seen[stamp]; ok {
			t.Errorf("%q and %q have the same stamp", before, what)
		}
		seen[stamp] = what
		if again := NewKeyring([]v1alpha1.SFTPKey{keyringKey("a", "ada", m, 0, change)}).Stamp(); again != stamp {
			t.Errorf("%s: equal keys have different stamps", what)
		}
	}
}

func TestKeysAsUsersHaveThem(t *testing.T) {
	m, old, older := pair(t), pair(t), pair(t)
	end := func(h int) *metav1.Time { return new(metav1.NewTime(began.Add(time.Duration(h) * time.Hour))) }
	status := func(condition metav1.Condition) func(*v1alpha1.SFTPKey) {
		return func(k *v1alpha1.SFTPKey) {
			k.Spec.Source, k.Status.PublicKey = v1alpha1.KeyGenerated, m.Line()
			k.Status.Conditions = []metav1.Condition{condition}
		}
	}
	const notReady = `KeyNotFound: SFTPKey "a" is not ready; kubectl describe sftpkey a says why`
	rows := map[string]struct {
		edit func(*v1alpha1.SFTPKey)
		want string
	}{
		"of a host":  {func(k *v1alpha1.SFTPKey) { k.Spec.Usage = v1alpha1.KeyUsageHost }, `InvalidPublicKey: SFTPKey "a" has usage Host; users need a key of usage Client`},
		"damaged":    {func(k *v1alpha1.SFTPKey) { k.Spec.PublicKey = "x" }, `InvalidPublicKey: SFTPKey "a": not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`},
		"no network": {func(k *v1alpha1.SFTPKey) { k.Spec.From = []string{"192.0.2.0/24", "office"} }, `InvalidPublicKey: SFTPKey "a": from: "office" is not a network in CIDR notation`},
		"generated":  {status(conditions.True("Ready", "Ready", "")), ": "},
		"blocked":    {status(conditions.True("Ready", "RotationBlocked", "")), ": "},
		"no pair": {func(k *v1alpha1.SFTPKey) {
			status(conditions.True("Ready", "Ready", ""))(k)
			k.Status.PublicKey = ""
		}, notReady},
		"no condition": {func(k *v1alpha1.SFTPKey) { status(metav1.Condition{})(k); k.Status.Conditions = nil }, notReady},
		"Secret gone":  {status(conditions.False("Ready", "SecretNotFound", "")), notReady},
		"unknown":      {status(conditions.Unknown("Ready", "Pending", "")), notReady},
	}
	for _, reason := range []string{"UserNotFound", "DuplicateKey", "WeakKey", "KeyRevoked"} {
		rows[reason] = struct {
			edit func(*v1alpha1.SFTPKey)
			want string
		}{status(conditions.False("Ready", reason, "")), ": "}
	}
	for _, reason := range []string{"KeyExpired", "KeyNotYetValid"} {
		rows["inactive: "+reason] = struct {
			edit func(*v1alpha1.SFTPKey)
			want string
		}{status(conditions.True("Inactive", reason, "")), ": "}
	}
	for name, tc := range rows {
		k := keyringKey("a", "ada", m, 0, tc.edit)
		c := NewKeyring([]v1alpha1.SFTPKey{k}).Of("ada")[0]
		if got := c.Reason + ": " + c.Problem; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	k := keyringKey("a", "ada", m, 0, func(k *v1alpha1.SFTPKey) {
		k.Spec.From, k.Spec.NotBefore, k.Spec.ExpirationTime = []string{"192.0.2.7/24", "2001:db8::1/32"}, end(-1), end(5)
		k.Status.Retiring = []v1alpha1.RetiringKey{
			{PublicKey: "x", EndTime: end(1)}, {PublicKey: m.Line()}, {PublicKey: old.Line(), EndTime: end(2)}, {PublicKey: older.Line(), EndTime: end(9)},
		}
	})
	c := NewKeyring([]v1alpha1.SFTPKey{k}).Of("ada")[0]
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	if c.Fingerprint() != m.Fingerprint() || !slices.Equal(c.From, networks) || c.NotBefore != k.Spec.NotBefore || c.NotAfter != k.Spec.ExpirationTime || c.User != "ada" {
		t.Errorf("%+v", c)
	}
	if o := c.Retiring; len(o) != 2 || o[0].Fingerprint() != old.Fingerprint() || !o[0].NotAfter.Equal(end(2)) || o[1].Fingerprint() != older.Fingerprint() ||
		!o[1].NotAfter.Equal(end(5)) || !slices.Equal(o[1].From, networks) {
		t.Errorf("%+v", o)
	}
	owners := NewKeyring([]v1alpha1.SFTPKey{k})
	if owners.Owner(old.Fingerprint()) == nil || owners.Owner(older.Fingerprint()) == nil {
		t.Error("retiring pairs belong to no one")
	}
	k.Spec.ExpirationTime = nil
	if c := NewKeyring([]v1alpha1.SFTPKey{k}).Of("ada")[0]; !c.Retiring[1].NotAfter.Equal(end(9)) {
		t.Errorf("%+v", c.Retiring)
	}
}

// The keyrings of two namespaces do not interfere, nor do objects without a version.
func TestRingsOfNamespaces(t *testing.T) {
	var keyrings Keyrings
	a, b := keyringKey("a", "ada", pair(t), 0), keyringKey("b", "ada", pair(t), 0)
	a.ResourceVersion = "7"
	first := keyrings.Keyring("one", []v1alpha1.SFTPKey{a}).Of("ada")[0]
	if c := keyrings.Keyring("two", []v1alpha1.SFTPKey{b}).Of("ada")[0]; c.Fingerprint() == first.Fingerprint() {
		t.Errorf("%+v", c)
	}
	if again := keyrings.Keyring("one", []v1alpha1.SFTPKey{a}).Of("ada")[0]; again != first {
		t.Error("the same version was parsed twice")
	}
}
