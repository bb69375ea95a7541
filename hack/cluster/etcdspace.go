package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// recoverEtcd does what an administrator does with an etcd that ran out of space, after something was deleted: it compacts its
// history, defragments it, and clears the alarm, which outlives its cause. It uses etcd's JSON gateway.
func recoverEtcd(ctx context.Context, s settings) error {
	tlsConfig, err := clientTLS(s, "apiserver-etcd", "etcd-ca")
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: tlsConfig}}
	call := func(path string, in, out any) error {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://127.0.0.1:%d/v3/%s", s.port(etcdPort), path), bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("etcd: %s: %s", path, answer)
		}
		if err != nil || out == nil {
			return err
		}
		return json.Unmarshal(answer, out)
	}

	var status struct{ Header struct{ Revision string } }
	// It may have been started a moment ago.
	if err := waitFor(ctx, s, "etcd", nil, func(context.Context) error { return call("maintenance/status", object{}, &status) }); err != nil {
		return err
	}
	var alarms struct {
		Alarms []struct{ MemberID, Alarm string }
	}
	if err := errors.Join(
		call("kv/compaction", object{"revision": status.Header.Revision, "physical": true}, nil),
		call("maintenance/defragment", object{}, nil),
		call("maintenance/alarm", object{"action": "GET"}, &alarms),
	); err != nil {
		return err
	}
	for _, a := range alarms.Alarms {
		if err := call("maintenance/alarm", object{"action": "DEACTIVATE", "memberID": a.MemberID, "alarm": a.Alarm}, nil); err != nil {
			return err
		}
	}
	return nil
}
