// Package ack makes pods load a configuration and asks them what they have loaded.
package ack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	// maxKeyUseSize bounds an answer about keys, in bytes: some 160 for each key, of 40,000
	// users with ten keys each, and only the first answer of a pod has more than the news.
	maxKeyUseSize = 64 << 20
)

// Asker asks a pod.
type Asker interface {
	// Ask asks which configuration the pod has loaded.
	Ask(ctx context.Context, pod *corev1.Pod) (config.Status, error)
	// KeyUse asks which keys were used since a report that the pod gave before.
	KeyUse(ctx context.Context, pod *corev1.Pod, token string, before config.KeyUseReport) (config.KeyUseReport, error)
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
	var s config.Status
	err := a.get(ctx, pod, config.StatusPath, "", maxStatusSize, &s)
	return s, err
}

// KeyUse implements Asker.
func (a *HTTPAsker) KeyUse(ctx context.Context, pod *corev1.Pod, token string, before config.KeyUseReport) (config.KeyUseReport, error) {
	query := url.Values{config.KeyUseInstance: {before.Instance}, config.KeyUseSequence: {strconv.FormatUint(before.Sequence, 10)}}
	var r config.KeyUseReport
	err := a.get(ctx, pod, config.KeyUsePath+"?"+query.Encode(), token, maxKeyUseSize, &r)
	return r, err
}

// get decodes what a pod answers, without a token if that is empty.
func (a *HTTPAsker) get(ctx context.Context, pod *corev1.Pod, path, token string, limit int64, into any) error {
	where := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(render.HealthPort)) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", where, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, limit)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
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
