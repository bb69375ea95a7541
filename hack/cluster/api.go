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
	tlsConfig, err := clientTLS(s, "admin", "ca")
	if err != nil {
		return nil, err
	}
	return &api{s.url(), &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true}}}, nil
}

// clientTLS returns the settings of a client that uses one of the cluster's certificates and trusts one of its CAs.
func clientTLS(s settings, name, ca string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(s.cert(name), s.key(name))
	if err != nil {
		return nil, err
	}
	trusted, err := os.ReadFile(s.cert(ca))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusted) {
		return nil, fmt.Errorf("the certificate of the cluster's CA %s is damaged: run down, then up", ca)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
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
	content := []byte(nil)
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		status := statusError{Message: string(answer)}
		_ = json.Unmarshal(answer, &status) // a metav1.Status is clearer than the raw text
		status.Code = response.StatusCode
		return status
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (a *api) get(ctx context.Context, path string, out any) error {
	return a.call(ctx, http.MethodGet, path, nil, out)
}

// create creates an object; an existing one of that name is fine.
func (a *api) create(ctx context.Context, path string, body any) error {
	err := a.call(ctx, http.MethodPost, path, body, nil)
	if hasCode(err, http.StatusConflict) {
		return nil
	}
	return err
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
	return errors.New("node: the kubelet has not reported a condition yet")
}

type condition struct{ Type, Status, Message string }
