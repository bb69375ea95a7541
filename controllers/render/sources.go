package render

import (
	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const (
	defaultStartupsBegin       = 50
	defaultStartupsDropPercent = 30
	defaultStartupsFull        = 200
	defaultStartupsPerSource   = 20
)

// seesClients reports whether the pods see clients' own addresses. A Service that spreads
// connections over all nodes replaces them with nodes' addresses, and a limit per source
// would then apply to all clients together.
func seesClients(l *v1alpha1.SFTPListener) bool {
	return l.Spec.ProxyProtocol.Mode == v1alpha1.ProxyProtocolRequired ||
		l.Spec.Service.ExternalTrafficPolicy != v1alpha1.TrafficCluster
}

func proxyProtocol(l *v1alpha1.SFTPListener) *config.ProxyProtocol {
	if l.Spec.ProxyProtocol.Mode != v1alpha1.ProxyProtocolRequired {
		return nil
	}
	return &config.ProxyProtocol{TrustedFrom: l.Spec.ProxyProtocol.TrustedCIDRs}
}

func startups(l *v1alpha1.SFTPListener) config.Startups {
	s := l.Spec.Limits.Startups
	perSource := 0
	if seesClients(l) {
		perSource = defaultStartupsPerSource
	}
	return config.Startups{
		Begin:       or(s.Begin, defaultStartupsBegin),
		DropPercent: or(s.DropPercent, defaultStartupsDropPercent),
		Full:        or(s.Full, defaultStartupsFull),
		PerSource:   or(s.PerSource, perSource),
	}
}

func sources(l *v1alpha1.SFTPListener) config.Sources {
	s := l.Spec.Sources
	penalties := seesClients(l)
	if s.Penalties != "" {
		penalties = s.Penalties == v1alpha1.PenaltiesEnabled
	}
	return config.Sources{
		IPv4PrefixLength:  or(s.IPv4PrefixLength, 0),
		IPv6PrefixLength:  or(s.IPv6PrefixLength, 0),
		Penalties:         penalties,
		MaxPenaltySeconds: or(s.MaxPenaltySeconds, 0),
		ExemptFrom:        s.ExemptCIDRs,
	}
}

func uploads(l *v1alpha1.SFTPListener) config.Uploads {
	u := l.Spec.Uploads
	out := config.Uploads{
		Publish:     string(u.Publish),
		Incomplete:  string(u.Incomplete),
		SyncOnClose: u.Sync == v1alpha1.SyncOnClose,
	}
	if u.Checksum == v1alpha1.ChecksumSHA256 { // None stays empty, so that a daemon of a release without it accepts the settings
		out.Checksum = config.ChecksumSHA256
	}
	return out
}
