package offline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Finding is something that a condition would report in the cluster.
type Finding = compile.Finding

// Previous is what an earlier run rendered for a listener; it keeps hashes, host keys and
// places the same, and keys revoked whose list is now missing.
type Previous struct {
	Settings  *config.Listener
	Passwords map[string]*config.Password // by the user's UID
	HostKeys  [][]byte
	// ReceiptKey signs receipts, nil if none were issued.
	ReceiptKey []byte
	Shards     [][]byte
}

func (p Previous) trust() *render.Trust {
	if p.Settings == nil {
		return nil
	}
	return &render.Trust{Revoked: p.Settings.Revoked, UserCAs: p.Settings.Authentication.TrustedUserCAs}
}

// Render compiles one listener and its users. volumePath is where volumes are.
func (m *Manifests) Render(ctx context.Context, l *v1alpha1.SFTPListener, prev Previous, now time.Time,
	volumePath func(string) string,
) (render.Files, []Finding, error) {
	decision := m.Platform.Decide(l, now)
	l = decision.Listener
	policy := render.PolicyAt(l, now)
	hostKeys, findings, err := m.hostKeys(l, prev, policy, now)
	if err != nil {
		return render.Files{}, nil, err
	}
	receiptKey, finding, err := m.receiptKey(l, prev)
	if err != nil {
		return render.Files{}, nil, err
	}
	findings = append(findings, listOf(finding)...)
	if refusal := decision.Refusal(); refusal != "" {
		findings = append(findings, Finding{
			Object: "SFTPListener " + client.ObjectKeyFromObject(l).String(), Reason: v1alpha1.ReasonPlatformPolicy, Message: refusal,
		})
	}
	trust, problems := render.ResolveTrust(l, policy.Policy, m.secretFile(l.Namespace), prev.trust())
	users := m.usersOf(l)
	source := m.source(users, prev)
	lines := &compile.Lines{}
	lines.Set(prev.Shards)
	recalled := compile.Recall(prev.Shards, users)
	out := compile.Compile(compile.Input{
		Listener: l, Users: users, NamespaceLabels: m.Namespaces,
		Trust: trust, TrustProblems: problems, HostKeys: hostKeys, ReceiptKey: receiptKey,
		Resolve: source.Resolve, VolumePath: volumePath,
		Seats: recalled.Seats, Previous: recalled.Slots, Settings: prev.Settings, Delivered: lines.Get,
		Now: now,
	}, nil)
	return out.Files, append(findings, m.inOfflineWords(out.Findings(l))...), ctx.Err()
}

// inOfflineWords replaces the parts of findings that describe a cluster: here, pairs of generated keys are made locally.
func (m *Manifests) inOfflineWords(findings []Finding) []Finding {
	for name, k := range m.Keys {
		if k.Spec.Source == v1alpha1.KeyPublicKey {
			continue
		}
		inCluster := fmt.Sprintf("SFTPKey %q is not ready; kubectl describe sftpkey %s says why", name.Name, name.Name)
		offline := fmt.Sprintf("The operator generates the key pair of SFTPKey %q in the cluster, so its public key is unknown here; with -allow-missing it is left out", name.Name)
		for i := range findings {
			if findings[i].Reason == v1alpha1.ReasonKeyNotFound {
				findings[i].Message = strings.ReplaceAll(findings[i].Message, inCluster, offline)
			}
		}
	}
	return findings
}

// Unattached returns a finding for each user whose listener is not in the manifests.
func (m *Manifests) Unattached() []Finding {
	known := map[types.NamespacedName]bool{}
	for i := range m.Listeners {
		known[client.ObjectKeyFromObject(&m.Listeners[i])] = true
	}
	var out []Finding
	for i := range m.Users {
		u := &m.Users[i]
		if l := user.ListenerOf(u); !known[l] {
			out = append(out, Finding{
				Object:  "SFTPUser " + client.ObjectKeyFromObject(u).String(),
				Reason:  v1alpha1.ReasonListenerNotFound,
				Message: fmt.Sprintf("SFTPListener %q in namespace %q is not in the manifests", l.Name, l.Namespace),
				Missing: true,
			})
		}
	}
	return out
}

func (m *Manifests) usersOf(l *v1alpha1.SFTPListener) []*v1alpha1.SFTPUser {
	var out []*v1alpha1.SFTPUser
	for i := range m.Users {
		if user.ListenerOf(&m.Users[i]) == client.ObjectKeyFromObject(l) {
			out = append(out, &m.Users[i])
		}
	}
	return out
}
