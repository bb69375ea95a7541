// Package pods finds the pods of a listener by the name of its headless Service, which resolves to all of them, including those
// that are not ready or are terminating: they may still have events.
package pods

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	// every is the interval between lookups, and lookupTimeout bounds the time of one.
	every         = 5 * time.Second
	lookupTimeout = 4 * time.Second
	// linger is how long a pod is kept after the name no longer resolves to it: a lookup may miss one.
	linger = 30 * time.Second
	// maxPods bounds the number of pods. A listener has at most 50, and as many again during a rollout.
	maxPods = 128
)

// Finder looks pods up.
type Finder struct {
	// Name and Port of the pods.
	Name string
	Port int
	// Lookup resolves a name; nil means net.DefaultResolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	seen map[string]time.Time
}

// Watch calls changed with the addresses of the pods, as http://host:port, sorted, whenever they change, until ctx ends. A
// name that does not exist has no pods. If a lookup fails for another reason, the pods stay the same, and failed is called.
func (f *Finder) Watch(ctx context.Context, changed func([]string), failed func(error)) {
	if f.Lookup == nil {
		f.Lookup = net.DefaultResolver.LookupNetIP
	}
	f.seen = map[string]time.Time{}
	var last []string
	for first := true; ; first = false {
		err := f.look(ctx)
		if err != nil {
			failed(err)
		}
		if now := f.current(); first || !slices.Equal(now, last) {
			last = now
			changed(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

// look records the pods that the name resolves to.
func (f *Finder) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := f.Lookup(ctx, "ip", f.Name)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		found, err = nil, nil
	}
	now := time.Now()
	if err != nil {
		for base := range f.seen {
			f.seen[base] = now
		}
		return err
	}
	for _, a := range found {
		base := "http://" + net.JoinHostPort(a.Unmap().String(), strconv.Itoa(f.Port))
		if _, known := f.seen[base]; known || len(f.seen) < maxPods {
			f.seen[base] = now
		}
	}
	for base, at := range f.seen {
		if now.Sub(at) > linger {
			delete(f.seen, base)
		}
	}
	return nil
}

func (f *Finder) current() []string {
	out := make([]string, 0, len(f.seen))
	for base := range f.seen {
		out = append(out, base)
	}
	slices.Sort(out)
	return out
}
