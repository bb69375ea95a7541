package pods

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What a name resolves to over time, and which pods follow from that.
func TestWatch(t *testing.T) {
	missing := &net.DNSError{IsNotFound: true}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		answer := func() ([]netip.Addr, error) {
			switch passed := time.Since(began); {
			case passed < 10*time.Second:
				return nil, missing
			case passed < 60*time.Second:
				return []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:10.0.0.1")}, nil
			case passed < 3*time.Minute:
				return nil, errors.New("the server is away")
			case passed < 4*time.Minute:
				return []netip.Addr{netip.MustParseAddr("10.0.0.2")}, nil
			}
			return nil, missing
		}
		f := &Finder{Name: "pods.ns.svc", Port: 8081, Lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
			if network != "ip" || host != "pods.ns.svc" {
				t.Errorf("%s %s", network, host)
			}
			return answer()
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var got []string
		failures := 0
		f.Watch(ctx, func(list []string) {
			for _, p := range list {
				got = append(got, time.Since(began).String()+" "+p)
			}
			got = append(got, time.Since(began).String())
		}, func(error) { failures++ })
		want := []string{
			"0s",
			"10s http://10.0.0.1:8081", "10s http://10.0.0.2:8081", "10s http://[fd00::1]:8081", "10s",
			"3m30s http://10.0.0.2:8081", "3m30s",
			"4m30s",
		}
		if !slices.Equal(got, want) || failures < 20 {
			t.Errorf("%d failures\n%q\nwant\n%q", failures, got, want)
		}
	})
}

func TestTooManyPods(t *testing.T) {
	f := &Finder{Port: 1, seen: map[string]time.Time{}, Lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		var out []netip.Addr
		for a := netip.MustParseAddr("10.0.0.0"); len(out) < 1000; a = a.Next() {
			out = append(out, a)
		}
		return out, nil
	}}
	if err := f.look(t.Context()); err != nil || len(f.current()) != maxPods {
		t.Errorf("%d pods, %v", len(f.current()), err)
	}
}
