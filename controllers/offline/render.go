package offline

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/user"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Finding is something that a condition would say in the cluster.
type Finding = compile.Finding

// Previous is what an earlier run rendered for a listener; it keeps hashes, host keys and
// places the same, and revoked what a list that is missing now had.
type Previous struct {
	Settings  *config.Listener
	Passwords map[string]*config.Password // by the user's UID
	HostKeys  [][]byte
	Shards    [][]byte
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
	policy := render.PolicyAt(l, now)
	hostKeys, findings, err := m.hostKeys(l, prev, policy, now)
	if err != nil {
		return render.Files{}, nil, err
	}
	trust, problems := render.ResolveTrust(l, policy.Policy, m.secretFile(l.Namespace), prev.trust())
	users := m.usersOf(l)
	source := m.source(users, prev)
	lines := &compile.Lines{}
	lines.Set(prev.Shards)
	recalled := compile.Recall(prev.Shards, users)
	out := compile.Compile(compile.Input{
		Listener: l, Users: users, NamespaceLabels: m.Namespaces,
		Trust: trust, TrustProblems: problems, HostKeys: hostKeys,
		Resolve: source.Resolve, VolumePath: volumePath,
		Seats: recalled.Seats, Previous: recalled.Slots, Settings: prev.Settings, Delivered: lines.Get,
		Now: now,
	}, nil)
	return out.Files, append(findings, out.Findings(l)...), ctx.Err()
}

// Unattached returns a finding for each user that names no listener of the manifests.
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
