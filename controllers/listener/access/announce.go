package access

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/pods"
	"github.com/sftp-operator/sftp-operator/controllers/poll"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Announcer makes pods load what was written. It runs outside the reconciles: an API server that does not answer a pod's
// annotation does not delay the next removal.
type Announcer struct {
	// Client reads pods from the caches, and annotates them.
	Client client.Client
	// Poller asks them.
	Poller *poll.Poller

	mu sync.Mutex
	// running has the listeners whose pods are being annotated, and the next request, nil for none. mu protects it.
	running map[types.NamespacedName]*request
}

// request is what the pods of a listener should be annotated with.
type request struct {
	listener *v1alpha1.SFTPListener
	digest   string
}

// annotateTime bounds the requests to the pods of one listener. Each has a deadline of its own.
const annotateTime = 10 * time.Second

// announcement is a version, and what the Poller needs to know about it.
type announcement struct {
	version *delivery.Version
	target  poll.Target
	wrote   bool
}

// announce tells the Poller what the pods should have and, if it was just written, makes their kubelets refresh their
// volumes.
func (a *Announcer) announce(l *v1alpha1.SFTPListener, n announcement) {
	a.Poller.SetTarget(client.ObjectKeyFromObject(l), n.target)
	if n.wrote {
		a.annotate(client.ObjectKeyFromObject(l), &request{l, n.version.Digest})
	}
}

// annotate annotates the pods of a listener, after requests in progress.
func (a *Announcer) annotate(name types.NamespacedName, next *request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, busy := a.running[name]; busy {
		a.running[name] = next
		return
	}
	if a.running == nil {
		a.running = map[types.NamespacedName]*request{}
	}
	a.running[name] = nil
	go a.run(name, next)
}

func (a *Announcer) run(name types.NamespacedName, now *request) {
	for now != nil {
		a.request(now)
		a.mu.Lock()
		if now = a.running[name]; now == nil {
			delete(a.running, name)
		} else {
			a.running[name] = nil
		}
		a.mu.Unlock()
	}
}

func (a *Announcer) request(now *request) {
	ctx, cancel := context.WithTimeout(context.Background(), annotateTime)
	defer cancel()
	owned, err := pods.Owned(ctx, a.Client, now.listener)
	if err == nil {
		err = ack.RequestSync(ctx, a.Client, owned, now.digest)
	}
	if err != nil {
		// The Poller tries again until the pods have acknowledged.
		ctrl.Log.WithName("access").Error(err, "Cannot have pods refresh their configuration yet", "listener", client.ObjectKeyFromObject(now.listener))
	}
}

// target returns the Poller's target for a listener. written reports whether this process has written it.
func target(l *v1alpha1.SFTPListener, v *delivery.Version, keys ack.Keys, users []*compile.User, hostKeys []string, written bool) poll.Target {
	t := poll.Target{UID: l.UID, Keys: keys, Digest: v.Digest, Known: known(users, hostKeys)}
	if written {
		t.Written = v.At
	}
	return t
}

// known returns what pods may report about. Keys that a user had before its last change are in its status.
func known(users []*compile.User, hostKeys []string) ack.Known {
	keys := 0
	for _, u := range users {
		keys += len(u.Credentials.Inventory)
	}
	// Most configurations are replaced before a pod has anything to report about its users.
	byUID := sync.OnceValue(func() map[string]*compile.User {
		out := make(map[string]*compile.User, len(users))
		for _, u := range users {
			out[string(u.User.UID)] = u
		}
		return out
	})
	return ack.Known{
		Keys: keys,
		User: func(uid string) bool { return byUID()[uid] != nil },
		Key: func(uid, fingerprint string) bool {
			u := byUID()[uid]
			if u == nil {
				return false
			}
			for _, list := range [][]v1alpha1.UserKeyStatus{u.Credentials.Inventory, u.User.Status.Keys} {
				for i := range list {
					if list[i].Fingerprint == fingerprint {
						return true
					}
				}
			}
			return false
		},
		HostKey: func(fingerprint string) bool { return slices.Contains(hostKeys, fingerprint) },
	}
}

// statusKeys returns the keys with which pods prove their answers: those of the current host keys, and of the previous ones
// for pods that have not loaded a rotation yet.
func statusKeys(previous ack.Keys, hostKeys []render.PrivateHostKey) ack.Keys {
	key := config.StatusKey(render.PrivateKeys(hostKeys))
	if key == previous[0] {
		return previous
	}
	return ack.Keys{key, previous[0]}
}
