package record

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func key(fingerprint string) v1alpha1.HostKeyStatus {
	return v1alpha1.HostKeyStatus{
		Name: "host", Revision: 1, Algorithm: "ssh-ed25519", Fingerprint: fingerprint, State: v1alpha1.HostKeyActive, StateTime: new(metav1.NewTime(noon)),
	}
}

func login(name, user string) Login { return Login{Username: name, Namespace: "team", Name: user} }

func home(claim string) *v1alpha1.HomeVolume {
	return &v1alpha1.HomeVolume{Name: "data", ClaimName: claim}
}

// A recreated listener keeps what the record says until the backup has been restored, or for a week.
func TestRestore(t *testing.T) {
	r := Record{}.TakenUp("1", noon).Next(Current{
		Home: home("a"), HostKeys: []v1alpha1.HostKeyStatus{key("x")}, KeysUsed: true, Logins: []Login{login("acme", "first")}, LoginsKnown: true,
	}, noon)
	if r.Restoring(noon) || r.KeysPending || r.Holders(noon) != nil || r.KeyOf("host", 1) != "x" {
		t.Errorf("a new listener: %+v", r)
	}
	again := r.TakenUp("2", noon)
	if !again.Restoring(noon) || !again.KeysPending || !again.TakenUp("2", noon.Add(time.Hour)).RestoredTime.Equal(noon) {
		t.Errorf("a listener that was made again: %+v", again)
	}
	holder := map[string]types.NamespacedName{"acme": {Namespace: "team", Name: "first"}}
	if got := again.Holders(noon); !reflect.DeepEqual(got, holder) {
		t.Errorf("holders %v", got)
	}
	// Pods have another key, and another user has the name: both came first, and stay out of the record.
	got := again.Next(Current{Home: home("a"), Logins: []Login{login("acme", "second"), login("new", "third")}, LoginsKnown: true}, noon)
	if got.KeyOf("host", 1) != "x" || !got.KeysPending || !reflect.DeepEqual(got.Logins, []Login{login("acme", "first"), login("new", "third")}) {
		t.Errorf("while it is being restored: %+v", got)
	}
	if got = got.Next(Current{Home: home("a"), HostKeys: []v1alpha1.HostKeyStatus{key("x")}, KeysUsed: true}, noon); got.KeysPending || len(got.Logins) != 2 {
		t.Errorf("with its keys: %+v", got)
	}
	later := noon.Add(RestoreWindow)
	if got.Restoring(later) || got.Holders(later) != nil {
		t.Errorf("after a week: %+v", got)
	}
	if got = got.Next(Current{Home: home("a"), LoginsKnown: true}, later); got.Logins != nil || !got.RestoredTime.IsZero() {
		t.Errorf("after a week: %+v", got)
	}
}

func TestHomeWithoutClaim(t *testing.T) {
	r := Record{Home: home("a")}
	if got := r.Next(Current{Home: &v1alpha1.HomeVolume{Name: "scratch"}}, noon); got.Home != nil {
		t.Errorf("an emptyDir is recorded: %+v", got.Home)
	}
}

func TestBounds(t *testing.T) {
	var many []Login
	for i := range MaxLogins + 10 {
		many = append(many, login(fmt.Sprintf("%0128d", i), strings.Repeat("u", 253)))
	}
	r := Record{UID: "1"}.Next(Current{Logins: append(many, many...), LoginsKnown: true}, noon)
	data, err := r.Encode()
	if err != nil || len(r.Logins) != MaxLogins || len(data) > maxSize {
		t.Errorf("%d logins, %d bytes, %v", len(r.Logins), len(data), err)
	}
	if back, err := Decode(data); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("what was written cannot be read: %v", err)
	}
	for _, bad := range []string{"", "{", "null}", strings.Repeat(" ", maxSize+1), `{"hostKeys":[` + strings.Repeat("{},", maxHostKeys) + "{}]}"} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%.20q is a record", bad)
		}
	}
}

// A tenant that contests more names than there is room for loses some of its own, and no other tenant does.
func TestOneTenantsNames(t *testing.T) {
	var logins []Login
	for i := range MaxLogins + 100 {
		logins = append(logins, Login{Username: fmt.Sprintf("a-%04d", i), Namespace: "many", Name: "u"})
	}
	for _, name := range []string{"x", "y", "z"} {
		logins = append(logins, Login{Username: name, Namespace: "few", Name: name})
	}
	r := Record{UID: "1"}.Next(Current{LoginsKnown: true, Logins: logins}, noon)
	few := 0
	for _, l := range r.Logins {
		if l.Namespace == "few" {
			few++
		}
	}
	sorted := slices.IsSortedFunc(r.Logins, func(a, b Login) int { return strings.Compare(a.Username, b.Username) })
	if few != 3 || len(r.Logins) != MaxLogins || !sorted {
		t.Errorf("%d names of the tenant with three, %d in all, sorted: %v", few, len(r.Logins), sorted)
	}
}

// The record also keeps who has a login where others wait: while a backup is being restored, it does not go to whoever comes first.
func TestPlaces(t *testing.T) {
	before, first := attach.PlacesOf([]types.NamespacedName{{Namespace: "team", Name: "before"}}), attach.PlacesOf([]types.NamespacedName{{Namespace: "team", Name: "first"}})
	r := Record{}.TakenUp("1", noon).Next(Current{Places: before, LoginsKnown: true}, noon)
	if !bytes.Equal(r.Places, before) || r.PlacesBefore(noon) != nil {
		t.Errorf("a new listener: %+v", r)
	}
	if got := r.Next(Current{}, noon); !bytes.Equal(got.Places, before) {
		t.Errorf("the users are unknown: %+v", got)
	}
	if got := r.Next(Current{LoginsKnown: true}, noon); got.Places != nil {
		t.Errorf("no one waits: %+v", got)
	}
	again := r.TakenUp("2", noon).Next(Current{Places: first, LoginsKnown: true}, noon)
	if !bytes.Equal(again.PlacesBefore(noon), before) {
		t.Errorf("while it is being restored: %+v", again)
	}
	later := noon.Add(RestoreWindow)
	if got := again.Next(Current{Places: first, LoginsKnown: true}, later); again.PlacesBefore(later) != nil || !bytes.Equal(got.Places, first) {
		t.Errorf("after a week: %+v", got)
	}
}

// The largest record can be stored and read: as many places as there can be, host keys with long names, and as many contested
// names as fit next to them.
func TestLargestRecord(t *testing.T) {
	var in []types.NamespacedName
	for i := range maxPlaces {
		in = append(in, types.NamespacedName{Namespace: "team", Name: strconv.Itoa(i)})
	}
	long := Current{Places: attach.PlacesOf(in), LoginsKnown: true, KeysUsed: true, Home: home(strings.Repeat("c", 253))}
	for i := range maxHostKeys {
		k := key("SHA256:" + strings.Repeat("x", 43))
		k.Name, k.Algorithm, k.State = fmt.Sprintf("%0253d", i), "ecdsa-sha2-nistp521", v1alpha1.HostKeyAdvertised
		long.HostKeys = append(long.HostKeys, k)
	}
	for i := range MaxLogins {
		long.Logins = append(long.Logins, Login{Username: fmt.Sprintf("%0128d", i), Namespace: strings.Repeat("n", 63), Name: strings.Repeat("u", 253)})
	}
	r := Record{UID: "1"}.Next(long, noon)
	data, err := r.Encode()
	if err != nil || len(data) > maxSize || len(data) < maxSize-reserved-1000 || r.Places.Len() != maxPlaces || len(r.Logins) < MaxLogins/2 {
		t.Errorf("%d bytes, %d places, %d names: %v", len(data), r.Places.Len(), len(r.Logins), err)
	}
	if back, err := Decode(data); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("what was written cannot be read: %v", err)
	}
	if _, err := Decode([]byte(`{"places":"AAAA"}`)); err == nil {
		t.Error("three bytes are places")
	}
}

// Whatever the Secret contains, reading it neither panics nor quotes it, and what is read can be written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"uid":"1","home":{"name":"data","claimName":"a"},"hostKeys":[{"name":"host","fingerprint":"x"}],"logins":[{"username":"acme"}],"places":"AAAAAAAAAAAA"}`))
	f.Add([]byte(`{"uid":"marker-in-the-record`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			if len(data) > 8 && bytes.Contains([]byte(err.Error()), data) {
				t.Errorf("%v quotes the content", err)
			}
			return
		}
		next := r.TakenUp("2", noon).Next(Current{LoginsKnown: true}, noon)
		if out, err := next.Encode(); err == nil {
			if _, err := Decode(out); err != nil {
				t.Errorf("cannot be read again: %v", err)
			}
		}
	})
}
