package ack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const (
	// askTimeout bounds one request to a pod, until its answer has been read and decoded.
	askTimeout = time.Second
	// smallAnswer is the size, in bytes, up to which answers are read without a limit on concurrency.
	smallAnswer = 64 << 10
	// largeAnswers is how many larger ones are read at a time, in the whole process.
	largeAnswers = 4
)

var large = make(chan struct{}, largeAnswers)

// HTTPStatusClient asks pods over HTTP.
type HTTPStatusClient struct {
	client http.Client
}

// NewHTTPStatusClient returns a StatusClient that connects to pods' addresses directly: never through a
// proxy, and without following redirects, since a foreign process may answer.
func NewHTTPStatusClient() *HTTPStatusClient {
	return &HTTPStatusClient{client: http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Status implements StatusClient. Nothing of an answer is parsed before it is proven.
func (a *HTTPStatusClient) Status(ctx context.Context, pod *corev1.Pod, keys Keys) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	nonce := rand.Text()
	body, header, err := a.get(ctx, pod, config.StatusPath, http.Header{config.NonceHeader: {nonce}}, config.MaxStatusSize)
	if err != nil {
		return Answer{}, err
	}
	for _, key := range keys {
		if !config.ProofsEqual(header.Get(config.ProofHeader), config.StatusProof(key, nonce, pod.Name, body)) {
			continue
		}
		answer := Answer{Key: key}
		if err := json.Unmarshal(body, &answer.Status); err != nil {
			return Answer{}, fmt.Errorf("its status cannot be read: %w", err)
		}
		return answer, nil
	}
	return Answer{}, ErrUnproven
}

// KeyUse implements StatusClient.
func (a *HTTPStatusClient) KeyUse(
	ctx context.Context, pod *corev1.Pod, key string, known Known, before config.KeyUseReport,
) (config.KeyUseReport, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	q := config.KeyUseQuestion{Instance: before.Instance, Sequence: before.Sequence, Limit: known.limit()}
	query := url.Values{
		config.KeyUseInstance: {q.Instance}, config.KeyUseSequence: {strconv.FormatUint(q.Sequence, 10)}, config.KeyUseLimit: {strconv.Itoa(q.Limit)},
	}
	nonce := rand.Text()
	sealed, _, err := a.get(ctx, pod, config.KeyUsePath+"?"+query.Encode(), http.Header{
		config.NonceHeader: {nonce}, config.ProofHeader: {config.KeyUseProof(key, nonce, pod.Name, q)},
	}, maxReport(q.Limit)+config.SealOverhead)
	if err != nil {
		return config.KeyUseReport{}, err
	}
	body, err := config.OpenKeyUse(key, nonce, pod.Name, sealed)
	if err != nil {
		return config.KeyUseReport{}, fmt.Errorf("its report on keys: %w", ErrUnproven)
	}
	return known.decode(ctx, body, q.Limit)
}

// get returns a pod's answer, if it is no longer than a limit.
func (a *HTTPStatusClient) get(ctx context.Context, pod *corev1.Pod, path string, header http.Header, limit int) ([]byte, http.Header, error) {
	where := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(render.HealthPort)) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("it answered %d to %s", resp.StatusCode, req.URL.Path)
	}
	body, err := read(ctx, resp.Body, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("its answer to %s: %w", req.URL.Path, err)
	}
	return body, resp.Header, nil
}

// read reads an answer. Only a few large ones are in memory at a time: the pods of a
// thousand listeners may be asked at once.
func read(ctx context.Context, from io.Reader, limit int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, int64(min(limit, smallAnswer)+1)))
	if err != nil || len(body) <= min(limit, smallAnswer) {
		return body, err
	}
	if limit > smallAnswer {
		select {
		case large <- struct{}{}:
			defer func() { <-large }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		rest, err := io.ReadAll(io.LimitReader(from, int64(limit-smallAnswer)))
		if err != nil {
			return nil, err
		}
		body = append(body, rest...)
	}
	if len(body) > limit {
		return nil, errors.New("it is longer than " + strconv.Itoa(limit) + " bytes")
	}
	return body, nil
}
