package docs

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/controllers/offline"
)

// TestSamples: every sample passes the schemas and rules of the CRDs, and a cluster would accept all of it. Secrets that
// readers create themselves may be missing.
func TestSamples(t *testing.T) {
	samples, err := filepath.Glob(root + "/config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		name := strings.TrimSuffix(filepath.Base(sample), ".yaml")
		if name == "kustomization" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := offline.Read(t.Context(), []string{sample})
			if err != nil {
				t.Fatal(err)
			}
			for _, refused := range m.Refused {
				t.Error(refused)
			}
			findings := m.Unattached()
			for i := range m.Listeners {
				_, more, err := m.Render(t.Context(), &m.Listeners[i], offline.Previous{}, time.Now(), offline.VolumePath)
				if err != nil {
					t.Error(err)
				}
				findings = append(findings, more...)
			}
			if len(m.Listeners) != 1 {
				t.Errorf("%d listeners, want 1", len(m.Listeners))
			}
			for _, finding := range findings {
				if !finding.Missing {
					t.Error(finding)
				}
			}
		})
	}
}
