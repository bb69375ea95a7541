package offline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

// relayDir is the folder of a rendered directory with the configuration for "sftpd relay -config". It has credentials.
const relayDir = "relay"

// RenderRelay returns the configuration of a listener's relay, nil if it has none. files are those of its daemons, whose status
// port is at a host's name and a port.
func (m *Manifests) RenderRelay(l *v1alpha1.SFTPListener, files render.Files, host string, port int) ([]byte, []Finding, error) {
	if !relay.Wanted(l) {
		return nil, nil, nil
	}
	key := string(files.Config[config.EventsKeyFile])
	plan := relay.Compose(relay.Input{Listener: l, Platform: m.Platform, Key: key, Secret: func(name string) relay.Secret {
		s, ok := m.Secrets[types.NamespacedName{Namespace: l.Namespace, Name: name}]
		if !ok {
			return relay.Secret{Missing: true}
		}
		return relay.Secret{Data: s.Data}
	}})
	var findings []Finding
	for _, p := range plan.Problems {
		findings = append(findings, Finding{
			Object: "SFTPListener " + client.ObjectKeyFromObject(l).String(), Reason: p.Reason, Message: p.Message,
			Missing: p.Reason == v1alpha1.ReasonSecretNotFound,
		})
	}
	if key == "" {
		return nil, findings, nil // there is no configuration of the daemons either
	}
	plan.Config.Pods, plan.Config.Port = host, port
	out, err := plan.Config.Encode()
	return out, findings, err
}

// WriteRelay writes the configuration of a relay below dir, or removes what an earlier run has left there if it is nil.
func WriteRelay(dir string, data []byte) error {
	dir = filepath.Join(dir, relayDir)
	if data == nil {
		if err := os.Remove(filepath.Join(dir, delivery.ConfigFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return replace(dir, delivery.ConfigFile, data)
}
