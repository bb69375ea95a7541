package config_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

func TestTracing(t *testing.T) {
	for _, tc := range []struct {
		endpoint string
		percent  int
		say      string // "" for what is valid
	}{
		{"", 0, ""},
		{"http://collector.observability.svc:4318", 100, ""},
		{"https://collector", 0, ""},
		{"http://192.0.2.7:4318", 1, ""},
		{"http://[2001:db8::1]:4318", 1, ""},
		{"", 10, "tracing.endpoint"},
		{"collector:4318", 1, "tracing.endpoint"},
		{"ftp://collector:4318", 1, "tracing.endpoint"},
		{"http://collector:4318/", 1, "tracing.endpoint"},
		{"http://collector:4318/v1/traces", 1, "tracing.endpoint"},
		{"http://user:secret@collector:4318", 1, "tracing.endpoint"},
		{"http://collector:0", 1, "tracing.endpoint"},
		{"http://collector\n", 1, "tracing.endpoint"},
		{"http://collector", -1, "tracing.samplingPercent"},
		{"http://collector", 101, "tracing.samplingPercent"},
	} {
		l := exampleListener()
		l.Tracing = config.Tracing{Endpoint: tc.endpoint, SamplingPercent: tc.percent}
		raw, err := config.EncodeListener(l, [][]byte{[]byte("key")}, nil)
		if tc.say == "" {
			if err != nil || strings.Contains(string(raw), "tracing") != (tc.endpoint != "") {
				t.Errorf("%q: %v, %s", tc.endpoint, err, raw)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.Tracing.URL(), http.NoBody)
			if err != nil || tc.endpoint != "" && (req.URL.Host == "" || req.URL.Path != "/v1/traces") {
				t.Errorf("%q: %v", tc.endpoint, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.say) {
			t.Errorf("%q, %d: %v", tc.endpoint, tc.percent, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("a secret in %v", err)
		}
	}
}
