package offline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

const eventsListener = `
apiVersion: sftp-operator.io/v1alpha1
kind: SFTPListener
metadata: {name: partners, namespace: team}
spec:
  volumes: [{name: home, claimTemplate: {storage: 1Gi}}]
  events:
    sinks:
    - {name: jobs, serviceRef: {name: receiver, port: 8080}, authentication: {bearerSecretRef: {name: receiver, key: token}}}
    - {name: far, url: "https://events.example.com/"}
`

const eventsSecret = `
---
apiVersion: v1
kind: Secret
metadata: {name: receiver, namespace: team}
stringData: {token: hunter2}
`

// TestRenderRelay: the rendered relay can ask the rendered daemons, and the cause of a held sink is a finding.
func TestRenderRelay(t *testing.T) {
	render1 := func(manifests string) (files render.Files, data []byte, findings []offline.Finding) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := offline.Read(t.Context(), []string{file})
		if err != nil || len(m.Listeners) != 1 {
			t.Fatal(err, m.Refused)
		}
		if files, _, err = m.Render(t.Context(), &m.Listeners[0], offline.Previous{}, time.Now(), offline.VolumePath); err != nil {
			t.Fatal(err)
		}
		if data, findings, err = m.RenderRelay(&m.Listeners[0], files, "localhost", 8081); err != nil {
			t.Fatal(err)
		}
		return files, data, findings
	}
	files, data, findings := render1(eventsListener + eventsSecret)
	c, err := delivery.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if c.Key != string(files.Config[config.EventsKeyFile]) || c.Pods != "localhost" || c.Port != 8081 || c.Sinks[0].Bearer != "hunter2" || c.Sinks[1].Held == "" {
		t.Errorf("%+v", c)
	}
	if len(findings) != 1 || findings[0].Missing || !strings.Contains(findings[0].Message, "bounds.events.hosts") {
		t.Errorf("%v", findings)
	}
	if _, _, findings = render1(eventsListener); len(findings) != 2 || !findings[0].Missing || strings.Contains(findings[0].String(), "hunter2") {
		t.Errorf("%v", findings)
	}
	without, _, _ := strings.Cut(eventsListener, "  events:")
	if _, data, findings = render1(without); data != nil || findings != nil {
		t.Errorf("%s, %v", data, findings)
	}
	dir := t.TempDir()
	for _, data := range [][]byte{[]byte("x"), nil, nil} {
		if err := offline.WriteRelay(dir, data); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "relay", delivery.ConfigFile)); (err == nil) != (data != nil) {
			t.Errorf("%q: %v", data, err)
		}
	}
}
