// Package relay delivers the events of a listener's pods to its sinks. It runs in a separate pod, because the daemon opens no
// connections: it asks the pods for their events (package events), sends them, and tells the pods which ones they no longer need
// to keep. It stores nothing, so a relay that is killed loses nothing: events whose delivery it has not reported yet are
// delivered again, with the same id.
package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/filter"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/pods"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/pump"
	"github.com/sftp-operator/sftp-operator/sftpd/relay/send"
)

// Options of a Relay.
type Options struct {
	Config delivery.Config
	// Status is where the status port listens.
	Status  net.Listener
	Log     *slog.Logger
	Version string
	// Lookup resolves the name of the pods; nil means DNS.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Relay delivers a listener's events.
type Relay struct {
	Options
	key    []byte
	client *events.Client
	sinks  []*sink
	board  board
	// lookupLogged is when a failed lookup of the pods was last logged.
	lookupLogged time.Time
}

// lookupLogTime is the shortest time between two log lines about failed lookups, which occur every few seconds.
const lookupLogTime = time.Minute

// sink is a sink of the configuration. pump is nil if the sink is held.
type sink struct {
	delivery.Sink
	pump   *pump.Pump
	sender *send.Sender
	filter *filter.Filter
	log    *slog.Logger
	// unfiltered counts events for which its filter could not be evaluated. They are sent.
	unfiltered counter
}

// New returns a Relay. A sink that cannot be used is held, with the reason in the status, so that the other sinks do not wait for
// it.
func New(o Options) (*Relay, error) {
	key, err := events.ParseKey([]byte(o.Config.Key))
	if err != nil {
		return nil, err
	}
	r := &Relay{Options: o, key: key}
	r.client = &events.Client{Key: key, HTTP: &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: len(o.Config.Sinks) + 1, MaxConnsPerHost: 2*len(o.Config.Sinks) + 2,
		IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
	}}}
	for _, s := range o.Config.Sinks {
		r.sinks = append(r.sinks, r.newSink(s))
	}
	return r, nil
}

func (r *Relay) newSink(c delivery.Sink) *sink {
	s := &sink{Sink: c, log: r.Log}
	if s.Held != "" {
		return s
	}
	var err error
	if s.filter, err = filter.Parse(c.Filter); err == nil {
		s.sender, err = send.New(c, send.Options{Parallel: pump.Parallel, Denied: apiServer(), Version: r.Version})
	}
	if err != nil {
		s.Held = err.Error()
		return s
	}
	s.pump = pump.New(pump.Options{
		Sink: c.Name, Source: r.client, Wants: s.wants, Send: s.sender.Send, GiveUp: c.GiveUp(), Log: r.Log,
	})
	return s
}

// wants reports whether an event is for a sink. The pods have already selected by type.
func (s *sink) wants(e *pump.Event) bool {
	if len(s.Users) > 0 && !slices.Contains(s.Users, e.Key) {
		namespace, _, _ := strings.Cut(e.Key, "/")
		if !slices.Contains(s.Users, namespace+"/*") {
			return false
		}
	}
	chosen, err := s.filter.Match(e.Raw)
	if err != nil && s.unfiltered.add() == 1 {
		s.log.Warn("the filter cannot be evaluated for an event, which is therefore sent", "sink", s.Name, "reason", err.Error())
	}
	return chosen
}

// Run delivers until ctx ends, and then waits a few seconds for attempts in flight.
func (r *Relay) Run(ctx context.Context) error {
	server := r.server()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(health.Limit(r.Status, health.MaxConnections)) }()
	defer server.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	var running sync.WaitGroup
	for _, s := range r.sinks {
		if s.pump == nil {
			r.Log.Error("a sink cannot be used, so its events wait", "sink", s.Name, "reason", s.Held)
			continue
		}
		running.Go(func() {
			defer s.sender.Close()
			s.pump.Run(ctx)
		})
	}
	finder := &pods.Finder{Name: r.Config.Pods, Port: r.Config.Port, Lookup: r.Lookup}
	running.Go(func() { finder.Watch(ctx, r.setPods, r.lookupFailed) })
	running.Go(func() { r.watchPods(ctx) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("status port: %w", err)
		cancel()
	}
	running.Wait()
	return err
}

func (r *Relay) setPods(bases []string) {
	r.Log.Info("pods", "count", len(bases))
	r.board.setPods(bases)
	for _, s := range r.sinks {
		if s.pump != nil {
			s.pump.SetPods(bases)
		}
	}
}

// lookupFailed logs that the pods cannot be looked up, at most once a minute. Only one goroutine calls it.
func (r *Relay) lookupFailed(err error) {
	now := time.Now()
	if now.Sub(r.lookupLogged) < lookupLogTime {
		return
	}
	r.lookupLogged = now
	r.Log.Warn("looking up the listener's pods failed, so the known ones are kept", "error", err)
}

// apiServer returns the addresses of the API server, which the kubelet puts into each container's environment.
func apiServer() []netip.Addr {
	a, err := netip.ParseAddr(os.Getenv("KUBERNETES_SERVICE_HOST"))
	if err != nil {
		return nil
	}
	return []netip.Addr{a.Unmap()}
}
