package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// api is a client of the API server as administrator, as small as the few calls made here need.
type api struct {
	url  string
	http *http.Client
}

func newAPI(s settings) (*api, error) {
	cert, err := tls.LoadX509KeyPair(s.cert("admin"), s.key("admin"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.cert("ca"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the cluster's CA certificate is damaged: run down, then up")
	}
	return &api{s.url(), &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS13,
		},
		ForceAttemptHTTP2: true,
	}}}, nil
}

// statusError is an answer of the API server other than success.
type statusError struct {
	Code    int
	Message string
}

func (e statusError) Error() string { return fmt.Sprintf("API server: %d %s", e.Code, e.Message) }

func hasCode(err error, code int) bool {
	var status statusError
	return errors.As(err, &status) && status.Code == code
}

// call sends one request and decodes the answer into out, if that is not nil.
func (a *api) call(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := a.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer).Decode(out)
}

func (a *api) get(ctx context.Context, path string, out any) error {
	return a.call(ctx, http.MethodGet, path, nil, out)
}

// create makes an object; one of that name that is there already is fine.
func (a *api) create(ctx context.Context, path string, body any) error {
	err := a.call(ctx, http.MethodPost, path, body, nil)
	if hasCode(err, http.StatusConflict) {
		return nil
	}
	return err
}

// changed returns after the first change of one of the objects below path, or when the wait is up.
func (a *api) changed(ctx context.Context, path, resourceVersion string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	events, err := a.send(ctx, http.MethodGet, path+"?watch=1&resourceVersion="+resourceVersion, nil)
	if err == nil {
		defer events.Close()
		_, err = events.Read(make([]byte, 1))
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (a *api) send(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	status := statusError{response.StatusCode, string(text)}
	_ = json.Unmarshal(text, &status) // a metav1.Status says it better than the raw text
	status.Code = response.StatusCode
	return nil, status
}

// nodeReady returns nil if the kubelet has reported the node ready.
func (a *api) nodeReady(ctx context.Context) error {
	var node struct {
		Status struct{ Conditions []condition }
	}
	if err := a.get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return nil
		}
		if c.Type == "Ready" {
			return fmt.Errorf("node: %s", c.Message)
		}
	}
	return errors.New("node: the kubelet has reported no condition yet")
}

type condition struct{ Type, Status, Message string }
