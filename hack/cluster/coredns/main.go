// Command coredns is CoreDNS with only the plugins that a cluster's DNS needs: all of them, with every cloud's client library,
// would take minutes to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
)

func main() {
	// In the order in which a query passes through them.
	dnsserver.Directives = []string{"bind", "errors", "loadbalance", "cache", "kubernetes", "forward"}
	coremain.Run()
}
