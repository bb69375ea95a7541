package docs

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/rollout"
)

// specChanges has a change to the spec for each row of the table in docs/upgrading.md.
var specChanges = map[string]func(*v1alpha1.SFTPListenerSpec){
	"replicas":       func(s *v1alpha1.SFTPListenerSpec) { s.Replicas = new(int32(2)) },
	"maxUsers":       func(s *v1alpha1.SFTPListenerSpec) { s.MaxUsers = new(int32(9000)) },
	"hostnames":      func(s *v1alpha1.SFTPListenerSpec) { s.Hostnames = []string{"sftp.example.com"} },
	"service":        func(s *v1alpha1.SFTPListenerSpec) { s.Service.Port = new(int32(2022)) },
	"allowedUsers":   func(s *v1alpha1.SFTPListenerSpec) { s.AllowedUsers.Usernames = v1alpha1.UsernamesAny },
	"authentication": func(s *v1alpha1.SFTPListenerSpec) { s.Authentication.MaxAuthTries = new(int32(1)) },
	"revokedKeys":    func(s *v1alpha1.SFTPListenerSpec) { s.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: "SHA256:x"}} },
	"revokedKeysSecretRefs": func(s *v1alpha1.SFTPListenerSpec) {
		s.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "revoked", Key: "keys"}}
	},
	"hostKeyRefs":     func(s *v1alpha1.SFTPListenerSpec) { s.HostKeyRefs = []v1alpha1.LocalKeyReference{{Name: "key"}} },
	"cryptoPolicy":    func(s *v1alpha1.SFTPListenerSpec) { s.CryptoPolicy = v1alpha1.CryptoStrict2026 },
	"softwareVersion": func(s *v1alpha1.SFTPListenerSpec) { s.SoftwareVersion = "x" },
	"allowedCIDRs":    func(s *v1alpha1.SFTPListenerSpec) { s.AllowedCIDRs = []string{"192.0.2.0/24"} },
	"proxyProtocol":   func(s *v1alpha1.SFTPListenerSpec) { s.ProxyProtocol.TrustedCIDRs = []string{"192.0.2.0/24"} },
	"sources":         func(s *v1alpha1.SFTPListenerSpec) { s.Sources.Penalties = v1alpha1.PenaltiesDisabled },
	"uploads":         func(s *v1alpha1.SFTPListenerSpec) { s.Uploads.Publish = v1alpha1.PublishOnClose },
	"retention":       func(s *v1alpha1.SFTPListenerSpec) { s.Retention.StaleUploadSeconds = new(int32(200000)) },
	"homeDirectory":   func(s *v1alpha1.SFTPListenerSpec) { s.HomeDirectory.Volume = "data" },
	"keyPolicy":       func(s *v1alpha1.SFTPListenerSpec) { s.KeyPolicy.UnusedAfterDays = new(int32(1)) },
	"limits":          func(s *v1alpha1.SFTPListenerSpec) { s.Limits.MaxConnections = new(int32(1)) },
	"shutdown":        func(s *v1alpha1.SFTPListenerSpec) { s.Shutdown.DrainTimeoutSeconds = new(int32(1)) },
	"tracing":         func(s *v1alpha1.SFTPListenerSpec) { s.Tracing.Endpoint = "http://collector:4318" },
	"events": func(s *v1alpha1.SFTPListenerSpec) {
		s.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{Name: "a", URL: "https://example.com"}}}
	},
	"volumeClaimRetention": func(s *v1alpha1.SFTPListenerSpec) { s.VolumeClaimRetention = v1alpha1.Delete },
	"cryptoPolicyExpirationTime": func(s *v1alpha1.SFTPListenerSpec) {
		s.CryptoPolicyExpirationTime = new(metav1.NewTime(time.Unix(2e9, 0)))
	},
	"volumes": func(s *v1alpha1.SFTPListenerSpec) {
		s.Volumes = append(s.Volumes, v1alpha1.ListenerVolume{Name: "more", EmptyDir: &v1alpha1.EmptyDirVolume{}})
	},
	"volumes[].attributes":            func(s *v1alpha1.SFTPListenerSpec) { s.Volumes[0].Attributes = v1alpha1.AttributesIgnore },
	"volumes[].claimTemplate.storage": func(s *v1alpha1.SFTPListenerSpec) { s.Volumes[0].ClaimTemplate.Storage = resource.MustParse("2Gi") },
	"infrastructure.labels":           func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Labels = map[string]string{"a": "b"} },
	"infrastructure.annotations":      func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Annotations = map[string]string{"a": "b"} },
	"infrastructure.rollout":          func(s *v1alpha1.SFTPListenerSpec) { s.Infrastructure.Rollout = v1alpha1.RolloutPaused },
	"infrastructure.pod": func(s *v1alpha1.SFTPListenerSpec) {
		s.Infrastructure.Pod.Tolerations = []v1alpha1.Toleration{{Operator: v1alpha1.TolerateExists}}
	},
}

// TestRestartTable: docs/upgrading.md says for each field of the spec whether a change restarts pods, and the renderer agrees.
func TestRestartTable(t *testing.T) {
	_, table, _ := strings.Cut(read(t, root+"/docs/upgrading.md"), "## What restarts pods")
	table, _, _ = strings.Cut(table, "\n## ")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (yes|no)\\b")
	documented := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		documented[m[1]] = m[2] == "yes"
	}
	for field, edit := range specChanges {
		restarts, ok := documented[field]
		if !ok {
			t.Errorf("docs/upgrading.md has no row for %s", field)
			continue
		}
		delete(documented, field)
		before, after := restartListener(), restartListener()
		edit(&after.Spec)
		if equality.Semantic.DeepEqual(before.Spec, after.Spec) {
			t.Errorf("%s: the test changes nothing", field)
		}
		old, next := render.Deployment(before, "image", false), render.Deployment(after, "image", false)
		if got := !equality.Semantic.DeepEqual(old.Spec.Template, next.Spec.Template); got != restarts {
			t.Errorf("%s: a change restarts pods: %v, docs/upgrading.md says %v", field, got, restarts)
		}
		if got := strings.Join(changesOf(t, before, after), " "); restarts && !strings.HasPrefix(got, field) {
			t.Errorf("%s: status.pendingRestart would call it %q", field, got)
		}
	}
	for field := range documented {
		t.Errorf("docs/upgrading.md has a row for %s, which is not tested", field)
	}
	for of := range reflect.TypeFor[v1alpha1.SFTPListenerSpec]().Fields() {
		name, _, _ := strings.Cut(of.Tag.Get("json"), ",")
		found := false
		for field := range specChanges {
			found = found || field == name || strings.HasPrefix(field, name+".")
		}
		if !found {
			t.Errorf("docs/upgrading.md does not say whether spec.%s restarts pods", name)
		}
	}
}

// changesOf returns the names that status.pendingRestart would have.
func changesOf(t *testing.T, before, after *v1alpha1.SFTPListener) []string {
	t.Helper()
	live, want := render.Deployment(before, "image", false), render.Deployment(after, "image", false)
	record, err := rollout.NewRecord(before, live)
	if err != nil {
		t.Fatal(err)
	}
	if err := record.Write(live); err != nil {
		t.Fatal(err)
	}
	if record, err = rollout.NewRecord(after, want); err != nil {
		t.Fatal(err)
	}
	return rollout.Compare(live, want, record).Names
}

func restartListener() *v1alpha1.SFTPListener {
	return &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{
			{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}},
		}},
	}
}
