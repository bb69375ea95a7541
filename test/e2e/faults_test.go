package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// The fault tests, TestFault…, cause on the node what goes wrong with nodes, and measure the effect on users. Each prints a
// line that begins with FAULT; docs/faults.md lists them.

// fault is a listener with everything that must not be harmed: a live session, an upload in progress, and clients that keep
// reconnecting.
type fault struct {
	ns       string
	listener *v1alpha1.SFTPListener
	key      keyPair
	user     *v1alpha1.SFTPUser
	live     *session
	// source is the file to be uploaded.
	source string
	upload *slowUpload
	pods   map[types.UID]int32
	comers *comers
}

const (
	// faultMiB is the size of the upload: more than what the slow upload sends in a quarter of an hour.
	faultMiB   = 48
	faultFirst = 4 << 20
)

// newFault creates the listener, the session, the upload and the clients.
func newFault(t *testing.T, name string, change func(*v1alpha1.SFTPListenerSpec)) *fault {
	t.Helper()
	f := &fault{ns: newNamespace(t, name, nil), key: newKey(t), source: randomFile(t, faultMiB)}
	f.listener = newListener(t, f.ns, "partners", change)
	f.user = newUser(t, f.listener, f.ns, "acme", keyAuth(f.key))
	f.begin(t)
	return f
}

// begin opens the session and the upload, and starts the clients.
func (f *fault) begin(t *testing.T) {
	t.Helper()
	f.live = f.login(t)
	f.upload = startSlowUpload(t, f.login(t), f.source, "upload", faultFirst)
	f.upload.wait(t)
	f.pods = podUIDs(t, f.listener)
	f.comers = f.startComers(t)
}

func (f *fault) auth() ssh.AuthMethod { return ssh.PublicKeys(f.key.signer) }

func (f *fault) login(t *testing.T) *session {
	t.Helper()
	return mustLogin(t, f.listener, f.user.Name, f.auth())
}

// unharmed checks that the fault had no effect: no session and no pod ended, no login failed, and the upload completes.
func (f *fault) unharmed(t *testing.T) string {
	t.Helper()
	logins, failed := f.comers.stop()
	if len(failed) > 0 {
		t.Errorf("%d of %d logins failed, the first: %v", len(failed), logins, failed[0])
	}
	f.sessionsUnharmed(t)
	return fmt.Sprintf("%d of %d logins, the live session and an upload of %d MiB continue", logins-len(failed), logins, faultMiB)
}

// sessionsUnharmed is like unharmed, but logins may have failed.
func (f *fault) sessionsUnharmed(t *testing.T) {
	t.Helper()
	f.comers.stop()
	if !f.live.alive() {
		t.Error("the live session ended")
	}
	f.upload.release()
	if err := f.upload.finish(); err != nil {
		t.Errorf("the upload broke: %v", err)
	}
	f.intact(t)
	if after := podUIDs(t, f.listener); !maps.Equal(f.pods, after) {
		t.Errorf("pods and their restarts were %v and are now %v", f.pods, after)
	}
}

// intact checks the uploaded file. Logging in checks that the host key is unchanged.
func (f *fault) intact(t *testing.T) {
	t.Helper()
	if got, want := f.login(t).sha256(t, "upload"), sha256File(t, f.source); got != want {
		t.Errorf("sha256 of the upload is %s, sent was %s", got, want)
	}
}

// newUserWorks creates a user and returns how long after since it is ready and can log in, so the whole chain from the API
// server to the pods works again.
func (f *fault) newUserWorks(t *testing.T, name string, since time.Time, limit time.Duration) time.Duration {
	t.Helper()
	u := userOf(f.listener, f.ns, name, keyAuth(f.key))
	f.ready(t, limit, u, func() error { return client.IgnoreAlreadyExists(kube.Create(t.Context(), u.DeepCopy())) })
	took := time.Since(since)
	// It does not see the files of the user whose upload is in progress.
	if files, err := mustLogin(t, f.listener, name, f.auth()).ReadDir("/"); err != nil || len(files) != 0 {
		t.Errorf("a new user sees %v, %v", files, err)
	}
	return took
}

// ready waits until a user is ready, and tolerates an API server that is temporarily unavailable.
func (f *fault) ready(t *testing.T, limit time.Duration, u *v1alpha1.SFTPUser, first func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = first(); err != nil {
			continue
		}
		now := &v1alpha1.SFTPUser{}
		if err = kube.Get(t.Context(), client.ObjectKeyFromObject(u), now); err == nil && isReady(now) {
			return
		}
	}
	t.Fatalf("user %s is not ready after %s, last error: %v", u.Name, limit, err)
}

func isReady(u *v1alpha1.SFTPUser) bool {
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == u.Generation
}

// comers are clients that connect one after another.
type comers struct {
	mu     sync.Mutex
	logins int
	// failed are errors, and out is the longest time without a successful login. mu guards all of them.
	failed []error
	out    time.Duration
	cancel context.CancelFunc
	done   chan struct{}
}

func (f *fault) startComers(t *testing.T) *comers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &comers{cancel: cancel, done: make(chan struct{})}
	t.Cleanup(func() { c.stop() })
	l := f.listener.DeepCopy() // the test reads its own log in the meantime
	go func() {
		defer close(c.done)
		good := time.Now()
		for ctx.Err() == nil {
			s, err := login(t, l, f.user.Name, f.auth())
			c.mu.Lock()
			c.logins++
			if err != nil {
				c.failed = append(c.failed, err)
				c.out = max(c.out, time.Since(good))
			} else {
				if len(c.failed) > 0 && c.out < time.Since(good) {
					c.out = time.Since(good)
				}
				good = time.Now()
				_ = s.conn.Close()
			}
			c.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return c
}

// stop returns how many clients connected, and why some were refused.
func (c *comers) stop() (logins int, failed []error) {
	c.cancel()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins, c.failed
}

// node runs a command of the development cluster.
func node(t *testing.T, args ...string) {
	t.Helper()
	if err := tryNode(args...); err != nil {
		t.Fatal(err)
	}
}

func tryNode(args ...string) error {
	program := strings.Fields(os.Getenv("CLUSTER"))
	if len(program) == 0 {
		return errors.New("CLUSTER is not set; run the tests with make e2e")
	}
	return command(time.Minute, program[0], slices.Concat(program[1:], args)...)
}

// killComponent ends a component of the node with kill -9. It is started again at the end of the test, if not earlier.
func killComponent(t *testing.T, name string) {
	t.Helper()
	node(t, "kill", name)
	t.Cleanup(func() {
		_ = tryNode("start", name) // it is usually running
	})
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
