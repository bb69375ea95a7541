package compile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
)

// Seats and slots are recalled as they were held: restarting the operator changes nothing.
func TestRecallOfAnOutput(t *testing.T) {
	in := input()
	in.Listener.Spec.MaxUsers = new(int32(2000))
	for i := range 50 {
		in.Users = append(in.Users, user(fmt.Sprint("u", i), i))
	}
	out := Compile(in, nil)
	got := Recall(out.Files.Shards, in.Users)
	if !maps.Equal(got.Seats, out.Seats) || !maps.Equal(got.Slots, out.Slots) {
		t.Errorf("seats %v, slots %v", got.Seats, got.Slots)
	}
	shards := map[int]bool{}
	for _, s := range got.Slots {
		shards[s.Shard] = true
	}
	if len(shards) != len(out.Files.Shards) || len(shards) < 2 {
		t.Errorf("users of %d shards of %d", len(shards), len(out.Files.Shards))
	}
	again := Compile(next(in, Output{Seats: got.Seats, Slots: got.Slots, Files: out.Files}, in.Users...), nil)
	if again.Files.Digest != out.Files.Digest {
		t.Error("the configuration has changed")
	}
}

func TestRecall(t *testing.T) {
	const hash = "$2a$10$abc"
	stays, restored, suspended, newcomer := user("stays"), user("restored"), user("suspended"), user("new")
	restored.UID = "uid-after-the-backup"
	suspended.Status.Username = "old-name"
	suspended.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSuspended}}
	// The status of a user with a record is older than the record.
	stays.Status.Username = "other"
	stays.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSuspended}}
	lines := []string{
		`{"uid":"uid-stays","namespace":"elsewhere","name":"x","username":"login","fieldOfALaterVersion":1,"password":{"hash":"` + hash + `","source":"s/1/e"}}` + "\n",
		"no JSON\n",
		`{"uid":"uid-gone","namespace":"team","name":"gone","username":"gone","password":{"hash":"` + hash + `","source":"s/2/e"}}` + "\n",
		`{"uid":"uid-before","namespace":"team","name":"restored","username":"r"}` + "\n",
	}
	got := Recall([][]byte{[]byte(lines[0] + lines[1]), nil, []byte(lines[2] + lines[3])}, []*v1alpha1.SFTPUser{stays, restored, suspended, newcomer})
	seats := map[types.UID]attach.Seat{
		"uid-stays": {Username: "login", Login: true}, "uid-after-the-backup": {Username: "r", Login: true}, "uid-suspended": {Username: "old-name"},
	}
	slots := map[string]shard.Slot{
		"uid-stays": {Shard: 0, Bytes: len(lines[0])}, "uid-after-the-backup": {Shard: 2, Bytes: len(lines[3])},
	}
	if !maps.Equal(got.Seats, seats) || !maps.Equal(got.Slots, slots) {
		t.Errorf("seats %v, slots %v", got.Seats, got.Slots)
	}
	// Password hashes can be reused by every user with the same Secret.
	if sources := slices.Sorted(maps.Keys(got.Passwords)); !slices.Equal(sources, []string{"s/1/e", "s/2/e"}) || got.Passwords["s/1/e"].Hash != hash {
		t.Errorf("passwords %v", got.Passwords)
	}
}

// The status says what a user without a record holds, unless it never held anything.
func TestSeatInStatus(t *testing.T) {
	for name, c := range map[string]struct {
		status   metav1.ConditionStatus
		reason   string
		username string
		want     attach.Seat
		ok       bool
	}{
		"accepted":                {metav1.ConditionTrue, v1alpha1.ReasonAccepted, "x", attach.Seat{Username: "x", Login: true}, true},
		"suspended":               {metav1.ConditionFalse, v1alpha1.ReasonSuspended, "x", attach.Seat{Username: "x"}, true},
		"expired":                 {metav1.ConditionFalse, v1alpha1.ReasonExpired, "x", attach.Seat{Username: "x"}, true},
		"no login left":           {metav1.ConditionFalse, v1alpha1.ReasonListenerFull, "x", attach.Seat{Username: "x"}, true},
		"a method is not allowed": {metav1.ConditionFalse, v1alpha1.ReasonMethodNotAllowed, "x", attach.Seat{Username: "x"}, true},
		"no listener":             {metav1.ConditionFalse, v1alpha1.ReasonListenerNotFound, "x", attach.Seat{}, false},
		"not admitted":            {metav1.ConditionFalse, v1alpha1.ReasonNotAllowedByListener, "x", attach.Seat{}, false},
		"no usable name":          {metav1.ConditionFalse, v1alpha1.ReasonInvalidUsername, "x", attach.Seat{}, false},
		"the name is another's":   {metav1.ConditionFalse, v1alpha1.ReasonUsernameConflict, "x", attach.Seat{}, false},
		"not known":               {metav1.ConditionUnknown, v1alpha1.ReasonPending, "x", attach.Seat{}, false},
		"without a name":          {metav1.ConditionTrue, v1alpha1.ReasonAccepted, "", attach.Seat{}, false},
		"never looked at":         {"", "", "x", attach.Seat{}, false},
	} {
		u := user("u")
		u.Status.Username = c.username
		if c.status != "" {
			u.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionAccepted, Status: c.status, Reason: c.reason}}
		}
		got, ok := seatInStatus(u)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
		if seat, held := Recall(nil, []*v1alpha1.SFTPUser{u}).Seats[u.UID]; held != c.ok || held && seat != c.want {
			t.Errorf("%s: recalled %+v, %v", name, seat, held)
		}
	}
}

// Lines finds each record in the current shards.
func TestLines(t *testing.T) {
	line := func(uid, name string) []byte { return fmt.Appendf(nil, "{\"uid\":%q,\"name\":%q}\n", uid, name) }
	first, second := slices.Concat(line("a", "1"), []byte("no JSON\n"), line("b", "1")), line("c", "1")
	var l Lines
	if got := l.Get("a"); got != nil {
		t.Errorf("the zero Lines has %q", got)
	}
	l.Set([][]byte{first, second, nil})
	for uid, want := range map[string][]byte{"a": line("a", "1"), "b": line("b", "1"), "c": line("c", "1"), "": nil, "x": nil} {
		if got := l.Get(uid); !bytes.Equal(got, want) {
			t.Errorf("%q: %q, want %q", uid, got, want)
		}
	}
	l.Set([][]byte{first, line("d", "2")})
	for uid, want := range map[string][]byte{"a": line("a", "1"), "c": nil, "d": line("d", "2")} {
		if got := l.Get(uid); !bytes.Equal(got, want) {
			t.Errorf("after a change, %q: %q, want %q", uid, got, want)
		}
	}
}
