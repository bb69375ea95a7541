package operator

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
	"github.com/sftp-operator/sftp-operator/test/fakepods"
)

// behavior describes the pods of a namespace.
type behavior struct {
	// frozen pods continue with what they have loaded.
	frozen bool
	// broken pods report that they cannot load the new configuration.
	broken bool
	// unreachable pods do not answer.
	unreachable bool
	// late are the names of pods that do not load the new configuration.
	late []string
	// cut are the names of pods that the operator cannot reach, each time with another port.
	cut []string
	// sessions is the number of sessions in each pod.
	sessions int
	// volumes are the pods' reports about the volumes that users may write to.
	volumes []config.VolumeStatus
	// rejects are the login names whose records pods cannot use.
	rejects []string
}

// dataPlane plays pods: it loads the Secrets that the operator wrote with the daemon's own code and answers as the daemon
// would.
type dataPlane struct {
	api client.Client

	mu sync.Mutex
	// behaviors by namespace; mu guards both maps.
	behaviors map[string]behavior
	// loaded is what the pods of a namespace loaded last.
	loaded map[string]*config.Set
	// cuts counts the requests that did not reach a pod.
	cuts int
	// books of the pods' processes, by the pods' UIDs.
	books map[types.UID]*keyuse.Tracker
	// mounts are the configuration directories of running daemons, by namespace.
	mounts map[string]string
	http   *ack.HTTPStatusClient
	// asked counts the requests to pods, by namespace.
	asked map[string]int
}

func newDataPlane(api client.Client) *dataPlane {
	return &dataPlane{
		api: api, behaviors: map[string]behavior{}, loaded: map[string]*config.Set{}, books: map[types.UID]*keyuse.Tracker{},
		mounts: map[string]string{}, http: ack.NewHTTPStatusClient(), asked: map[string]int{},
	}
}

// mount has real daemons run in the pods of a namespace, with their configuration in a directory.
func (p *dataPlane) mount(namespace, dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mounts[namespace] = dir
}

// behave sets how the pods of a namespace behave from now on.
func (p *dataPlane) behave(namespace string, b behavior) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviors[namespace] = b
}

// logins that the pods of a namespace have loaded, by name.
func (p *dataPlane) logins(namespace string) map[string]config.User {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]config.User{}
	if set := p.loaded[namespace]; set != nil {
		for _, u := range set.Users {
			out[u.Username] = u
		}
	}
	return out
}

// asks returns how often pods have been asked, by namespace.
func (p *dataPlane) asks() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.asked)
}

// Status implements ack.StatusClient.
func (p *dataPlane) Status(ctx context.Context, pod *corev1.Pod, keys ack.Keys) (ack.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[pod.Namespace]++
	if p.mounts[pod.Namespace] != "" {
		return p.askDaemon(ctx, pod, keys)
	}
	status, err := p.status(ctx, pod)
	if err != nil {
		return ack.Answer{}, err
	}
	key := "" // nothing is loaded
	if set := p.loaded[pod.Namespace]; set != nil {
		key = config.StatusKey(set.HostKeys)
	}
	return fakepods.Proven(status, key, keys)
}

// askDaemon asks the running daemon, once it has the files that a kubelet would give it. p.mu must be locked.
func (p *dataPlane) askDaemon(ctx context.Context, pod *corev1.Pod, keys ack.Keys) (ack.Answer, error) {
	if err := fakepods.Mount(ctx, p.api, pod, p.mounts[pod.Namespace]); err != nil {
		return ack.Answer{}, err
	}
	return p.http.Status(ctx, pod, keys)
}

// status returns the report of a played pod. p.mu must be locked.
func (p *dataPlane) status(ctx context.Context, pod *corev1.Pod) (config.Status, error) {
	b, now := p.behaviors[pod.Namespace], p.loaded[pod.Namespace]
	switch {
	case b.unreachable:
		return config.Status{}, errors.New("connection refused")
	case slices.Contains(b.cut, pod.Name):
		p.cuts++
		return config.Status{}, &url.Error{Op: "Get", URL: "http://192.0.2.10:8081/configz", Err: &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40000 + p.cuts}, Err: errors.New("i/o timeout"),
		}}
	case slices.Contains(b.late, pod.Name):
		return config.Status{Digest: "an older one"}, nil
	}
	if !b.frozen {
		set, err := p.load(ctx, pod)
		switch {
		case err != nil:
			return config.Status{Error: err.Error()}, nil //nolint:nilerr // the pod reports it
		case b.broken:
			return config.Status{FailedDigest: set.Digest, Error: "hostkey-0: no space left on device"}, nil
		}
		p.loaded[pod.Namespace], now = set, set
	}
	if now == nil {
		return config.Status{}, nil
	}
	s := config.Status{Digest: now.Digest, Users: len(now.Users), Sessions: &b.sessions, Volumes: b.volumes}
	for _, r := range now.Rejected {
		s.RejectedUIDs = append(s.RejectedUIDs, r.UID)
	}
	for _, u := range now.Users {
		for _, name := range b.rejects {
			if u.Username == name {
				s.RejectedUIDs = append(s.RejectedUIDs, u.UID)
			}
		}
	}
	return s, nil
}

// logIn records a login on a pod.
func (p *dataPlane) logIn(pod *corev1.Pod, uid, fingerprint string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.books[pod.UID] == nil {
		p.books[pod.UID] = keyuse.New()
	}
	p.books[pod.UID].Note(uid, fingerprint, at)
}

// refuse records a refused login of a user on a pod.
func (p *dataPlane) refuse(pod *corev1.Pod, uid string, r keyuse.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.books[pod.UID] == nil {
		p.books[pod.UID] = keyuse.New()
	}
	p.books[pod.UID].NoteRefusal(uid, r)
}

// prove simulates a user's client that learns a host key on a pod.
func (p *dataPlane) prove(pod *corev1.Pod, uid, fingerprint string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.books[pod.UID] == nil {
		p.books[pod.UID] = keyuse.New()
	}
	p.books[pod.UID].NoteProof(uid, fingerprint)
}

// hostKeys returns the host keys that the pods of a namespace have loaded: the states by fingerprint.
func (p *dataPlane) hostKeys(namespace string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	set := p.loaded[namespace]
	if set == nil {
		return out
	}
	for i, private := range set.HostKeys {
		if signer, err := ssh.ParsePrivateKey(private); err == nil {
			out[ssh.FingerprintSHA256(signer.PublicKey())] = set.Listener.HostKeys[i].State
		}
	}
	return out
}

// certificate returns the certificate of the first host key that the pods of a namespace have loaded.
func (p *dataPlane) certificate(namespace string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if set := p.loaded[namespace]; set != nil {
		return set.Listener.HostKeys[0].Certificate
	}
	return ""
}

// restart ends the process of a pod and starts another one.
func (p *dataPlane) restart(pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.books[pod.UID] = keyuse.New()
}

// KeyUse implements ack.StatusClient.
func (p *dataPlane) KeyUse(ctx context.Context, pod *corev1.Pod, key string, known ack.Known, before config.KeyUseReport) (config.KeyUseReport, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.loaded[pod.Namespace]
	switch {
	case p.behaviors[pod.Namespace].unreachable:
		return config.KeyUseReport{}, errors.New("connection refused")
	case p.mounts[pod.Namespace] != "":
		return p.http.KeyUse(ctx, pod, key, known, before)
	case set == nil || key != config.StatusKey(set.HostKeys):
		return config.KeyUseReport{}, errors.New("it answered 401 to /keyuse")
	}
	if p.books[pod.UID] == nil {
		p.books[pod.UID] = keyuse.New()
	}
	return p.books[pod.UID].Since(before.Instance, before.Sequence, config.MaxKeyUses), nil
}

// load does what the kubelet and the daemon do.
func (p *dataPlane) load(ctx context.Context, pod *corev1.Pod) (*config.Set, error) {
	dir, err := os.MkdirTemp("", "sftpd-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := fakepods.Mount(ctx, p.api, pod, dir); err != nil {
		return nil, err
	}
	return config.Load(dir)
}

// settings returns the settings that the pods of a namespace have loaded.
func (p *dataPlane) settings(namespace string) config.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	if set := p.loaded[namespace]; set != nil {
		return set.Listener
	}
	return config.Listener{}
}
