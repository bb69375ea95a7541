package explain

import (
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/judge"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// source checks where the client comes from: through a proxy or not, and from which network.
func (e *explainer) source() {
	if e.Listener == nil {
		e.connection.SourceNotAllowed = e.add("listener's networks", Unknown,
			"you may not read the listener: its networks, proxies and crypto policy are not checked")
	} else {
		e.proxy()
		e.connection.SourceNotAllowed = e.network("listener's networks", "spec.allowedCIDRs of the listener", e.Listener.Spec.AllowedCIDRs)
	}
	outside := e.network("user's networks", "spec.allowedCIDRs of the user", e.User.Spec.AllowedCIDRs)
	e.key.SourceNotAllowed, e.passwordAsked.SourceNotAllowed = outside, outside
}

// proxy looks for evidence that connections come with a PROXY header: one that reached a login.
func (e *explainer) proxy() {
	const name = "proxy"
	p := e.Listener.Spec.ProxyProtocol
	if p.Mode != v1alpha1.ProxyProtocolRequired {
		return
	}
	for _, l := range e.Log.Lines {
		if l.Event == "login" || l.Event == "login_refused" {
			e.add(name, OK, "a connection came through a proxy with a PROXY header at %s", stamp(l.Time))
			return
		}
	}
	e.add(name, Unknown, "connections must come from a proxy in %s, and begin with a PROXY header; whether the client's do is unknown",
		strings.Join(p.TrustedCIDRs, ", "))
}

func (e *explainer) network(name, field string, list []string) judge.Answer {
	set, err := networks.Parse(list)
	switch {
	case err != nil:
		return e.add(name, Unknown, "%s: %v", field, err)
	case set.Empty():
		return e.add(name, OK, "%s has no networks, so any address may connect", field)
	case !e.From.IsValid():
		return e.add(name, Unknown, "%s allows only %s; give --from with the client's address", field, strings.Join(list, ", "))
	case e.hidesAddresses():
		return e.add(name, Unknown, "%s has %s; %s", field, strings.Join(list, ", "), hiddenAddresses)
	case !set.Contains(e.From):
		return e.add(name, Denied, "%s does not contain %s, only %s", field, e.From, strings.Join(list, ", "))
	}
	return e.add(name, OK, "%s contains %s", field, e.From)
}

const hiddenAddresses = "but with service.externalTrafficPolicy Cluster and without proxyProtocol the pods see addresses of nodes, not of clients"

func (e *explainer) hidesAddresses() bool {
	if e.Listener == nil {
		return false
	}
	s := e.Listener.Spec
	return s.Service.ExternalTrafficPolicy == v1alpha1.TrafficCluster && s.ProxyProtocol.Mode != v1alpha1.ProxyProtocolRequired
}
