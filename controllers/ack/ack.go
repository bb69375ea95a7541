// Package ack makes pods load a configuration and asks them what they have loaded.
package ack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

const (
	// askTimeout bounds one question to a pod.
	askTimeout = time.Second
	// maxStatusSize bounds an answer, in bytes.
	maxStatusSize = 64 << 10
)

// Asker asks a pod which configuration it has loaded.
type Asker interface {
	Ask(ctx context.Context, pod *corev1.Pod) (config.Status, error)
}

// HTTPAsker asks over HTTP.
type HTTPAsker struct {
	client http.Client
}

// NewHTTPAsker returns an Asker that connects to pods' addresses directly: never over a
// proxy, and without following redirects, since what answers may be a foreign process.
func NewHTTPAsker() *HTTPAsker {
	return &HTTPAsker{client: http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Ask implements Asker.
func (a *HTTPAsker) Ask(ctx context.Context, pod *corev1.Pod) (config.Status, error) {
	url := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(render.HealthPort)) + config.StatusPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return config.Status{}, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return config.Status{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return config.Status{}, fmt.Errorf("%s answered %s", url, resp.Status)
	}
	var s config.Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatusSize)).Decode(&s); err != nil {
		return config.Status{}, fmt.Errorf("%s: %w", url, err)
	}
	return s, nil
}

// Poke makes the kubelet refresh the configuration volume of a pod: a change of an
// annotation makes it look at the pod at once, where it would do so within 60 to 90
// seconds by itself. It can be swallowed, so it is repeated, until the pod acknowledges; the
// time makes each poke a change.
func Poke(ctx context.Context, c client.Client, pod *corev1.Pod, digest string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		v1alpha1.AnnotationConfigDigest: digest,
		v1alpha1.AnnotationPoke:         time.Now().UTC().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return err
	}
	target := &corev1.Pod{}
	target.SetNamespace(pod.Namespace)
	target.SetName(pod.Name)
	return client.IgnoreNotFound(c.Patch(ctx, target, client.RawPatch("application/merge-patch+json", patch)))
}

// Ready says whether a pod serves clients: it is ready and not about to end.
func Ready(pod *corev1.Pod) bool {
	if !pod.DeletionTimestamp.IsZero() || pod.Status.PodIP == "" {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
