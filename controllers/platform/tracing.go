package platform

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// tracing checks where spans are sent: they contain login names, addresses and file paths.
func (c *check) tracing(l *v1alpha1.SFTPListener) {
	endpoint := l.Spec.Tracing.Endpoint
	if c.TracingHosts == nil || endpoint == "" {
		return
	}
	host := endpoint
	if u, err := url.Parse(endpoint); err == nil { // the API has checked it
		host = strings.ToLower(u.Hostname())
	}
	if !hasHost(c.TracingHosts, host) {
		c.add(fieldTracing, "bounds.tracingHosts", "must not have the host %s: the platform allows %s", host, choice(c.TracingHosts))
	}
}

// keepSpans keeps a listener from sending spans to destinations that the platform does not allow: the daemon's settings are
// delivered whatever the platform refuses.
func keepSpans(l *v1alpha1.SFTPListener, violations []Violation) {
	if slices.ContainsFunc(violations, func(v Violation) bool { return v.Field == fieldTracing }) {
		l.Spec.Tracing = v1alpha1.ListenerTracing{}
	}
}

func tracingHosts(hosts []string) error {
	var errs []error
	for _, h := range hosts {
		if _, err := netip.ParseAddr(h); err != nil && !eventHostRE.MatchString(h) {
			errs = append(errs, fmt.Errorf("bounds.tracingHosts: %q must be an address, or a DNS name in lower case, with \"*.\" before it for all names below it", h))
		}
	}
	return errors.Join(errs...)
}
