package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// curve25519LibSSH is the older name of curve25519-sha256, which no policy lists because golang.org/x/crypto/ssh adds it
// automatically.
const curve25519LibSSH = "curve25519-sha256@libssh.org"

// knownAlgorithms bounds the label: what a connection can negotiate is in some policy's
// lists, or follows from them.
var knownAlgorithms = func() map[string]bool {
	known := map[string]bool{curve25519LibSSH: true}
	for _, p := range cryptopolicy.All() {
		for _, name := range slices.Concat(p.KeyExchanges, p.Ciphers, p.MACs, p.HostKeys, p.PublicKeys) {
			known[name] = true
		}
		for _, name := range p.HostKeys { // with a certificate (OpenSSH PROTOCOL.certkeys)
			known[name+"-cert-v01@openssh.com"] = true
		}
	}
	return known
}()

// algorithms counts the algorithms of a login: they show which clients a stricter policy would lock out.
func (m *Metrics) algorithms(a event.Algorithms) {
	for _, of := range []struct{ kind, name string }{
		{"key_exchange", a.KeyExchange},
		{"cipher", a.Cipher},
		{"mac", a.MAC},
		{"host_key", a.HostKey},
		{"public_key", a.PublicKey},
	} {
		switch {
		case of.name == "":
			continue
		case !knownAlgorithms[of.name]:
			of.name = "other"
		}
		m.negotiated.WithLabelValues(of.kind, of.name).Inc()
	}
}

// WatchCryptoPolicy exports the crypto policy in effect when the metrics are read, since it
// changes with time. The function returns "" before the first configuration, and the zero
// time for a policy without an end.
func (m *Metrics) WatchCryptoPolicy(inEffect func() (name string, notAfter time.Time)) {
	m.Registry.MustRegister(policyCollector(inEffect))
}

type policyCollector func() (name string, notAfter time.Time)

var (
	policyInfo = prometheus.NewDesc("sftpd_crypto_policy_info",
		"1, with the crypto policy of new connections.", []string{"policy"}, nil)
	policyNotAfter = prometheus.NewDesc("sftpd_crypto_policy_not_after_timestamp_seconds",
		"When the default crypto policy replaces the configured one, in seconds since 1970; 0 for never.", nil, nil)
)

func (policyCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- policyInfo
	ch <- policyNotAfter
}

func (c policyCollector) Collect(ch chan<- prometheus.Metric) {
	name, end := c()
	if name == "" {
		return
	}
	seconds := 0.0
	if !end.IsZero() {
		seconds = float64(end.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(policyInfo, prometheus.GaugeValue, 1, name)
	ch <- prometheus.MustNewConstMetric(policyNotAfter, prometheus.GaugeValue, seconds)
}
