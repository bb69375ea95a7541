package fakepods

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/keyuse"
)

// Daemon plays the daemon of a pod. It implements health.State. It is safe for concurrent use.
type Daemon struct {
	pod string

	mu     sync.Mutex
	status config.Status // mu guards it and what follows
	key    string
	book   *keyuse.Tracker
	asked  int
}

// New returns the daemon of a pod, with nothing loaded.
func New(pod string) *Daemon { return &Daemon{pod: pod, book: keyuse.New()} }

// Load makes the daemon load files and report a number of users.
func (d *Daemon) Load(files *config.Files, users int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = config.Status{Digest: files.Digest, Users: users, LoadedAt: time.Now()}
	d.key = config.StatusKey(files.HostKeys)
}

// Asked returns how often the status was requested since ResetAsked.
func (d *Daemon) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// ResetAsked restarts the count.
func (d *Daemon) ResetAsked() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = 0
}

// Ready implements health.State.
func (d *Daemon) Ready(context.Context) error { return nil }

// Status implements health.State.
func (d *Daemon) Status() config.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.status
}

// Pod implements health.State.
func (d *Daemon) Pod() string { return d.pod }

// StatusKey implements health.State.
func (d *Daemon) StatusKey() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.key
}

// KeyUse implements health.State.
func (d *Daemon) KeyUse(q config.KeyUseQuestion) config.KeyUseReport {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.book.Since(q.Instance, q.Sequence, q.Limit)
}

// Server returns the health port of the daemon.
func (d *Daemon) Server() *health.Server {
	return health.New(d, prometheus.NewRegistry(), http.NotFoundHandler(), slog.New(slog.DiscardHandler))
}

// Proven returns what a requester gets from a status that was proven with a key: an error if the requester does not know the key.
func Proven(status config.Status, key string, keys ack.Keys) (ack.Answer, error) {
	if key == "" || key != keys[0] && key != keys[1] {
		return ack.Answer{}, ack.ErrUnproven
	}
	return ack.Answer{Status: status, Key: key}, nil
}

// Mount writes what the operator created for a listener into a directory, as the kubelet does for a pod.
func Mount(ctx context.Context, api client.Client, pod *corev1.Pod, dir string) error {
	var secrets corev1.SecretList
	err := api.List(ctx, &secrets, client.InNamespace(pod.Namespace),
		client.MatchingLabels{v1alpha1.LabelListener: pod.Labels[v1alpha1.LabelListener]})
	if err != nil {
		return err
	}
	for _, s := range secrets.Items {
		for name, data := range s.Data {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
