package access

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func users(names ...string) []*compile.User {
	var out []*compile.User
	for _, name := range names {
		u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}}
		out = append(out, &compile.User{
			Decision: attach.Decision{User: u, Username: name, Reason: v1alpha1.ReasonAccepted}, Digest: "d",
			Credentials: credentials.Credentials{Keys: []config.Key{{PublicKey: name}}},
		})
	}
	return out
}

// The listener controller is woken for what is new to it, and for nothing else.
func TestSame(t *testing.T) {
	version := &delivery.Version{Digest: "d"}
	list := users("a")
	full := func() exchange.Access {
		return exchange.Access{
			Users: list, Blocked: &conditions.Problem{Reason: "r"}, Problems: []conditions.Problem{{Reason: "p"}}, Unreadable: []string{"u"}, Err: errors.New("e"),
			Delivered: delivery.Result{Version: version, Refusals: []conditions.Problem{{Reason: "f"}}, Err: errors.New("w")},
		}
	}
	if !same(full(), full()) || !same(exchange.Access{}, exchange.Access{}) {
		t.Error("equal results differ")
	}
	for name, change := range map[string]func(*exchange.Access){
		"users":        func(a *exchange.Access) { a.Users = users("a") },
		"blocked":      func(a *exchange.Access) { a.Blocked = nil },
		"why blocked":  func(a *exchange.Access) { a.Blocked = &conditions.Problem{Reason: "other"} },
		"problems":     func(a *exchange.Access) { a.Problems = nil },
		"unreadable":   func(a *exchange.Access) { a.Unreadable = nil },
		"error":        func(a *exchange.Access) { a.Err = nil },
		"version":      func(a *exchange.Access) { a.Delivered.Version = &delivery.Version{Digest: "d"} },
		"refusals":     func(a *exchange.Access) { a.Delivered.Refusals = nil },
		"write error":  func(a *exchange.Access) { a.Delivered.Err = errors.New("other") },
		"error's text": func(a *exchange.Access) { a.Err = fmt.Errorf("other") },
	} {
		other := full()
		if change(&other); same(full(), other) {
			t.Errorf("a change of %s is not noticed", name)
		}
	}
}

// Pods use the current key in their proofs, or the previous one until they have loaded it.
func TestStatusKeys(t *testing.T) {
	key := func(text string) []render.PrivateHostKey { return []render.PrivateHostKey{{Private: []byte(text)}} }
	first := statusKeys(ack.Keys{}, key("1"))
	second := statusKeys(first, key("2"))
	if first[0] == "" || first[1] != "" || second[1] != first[0] || second[0] == first[0] {
		t.Errorf("%q, then %q", first, second)
	}
	if again := statusKeys(second, key("2")); again != second {
		t.Errorf("the same host key again gives %q, had %q", again, second)
	}
	if none := statusKeys(ack.Keys{}, nil); none != (ack.Keys{}) {
		t.Errorf("without a host key: %q", none)
	}
}
