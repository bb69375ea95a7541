package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
)

const (
	// policyInterval is how often the platform's policy is read. The kubelet takes up to a minute or so to bring a changed
	// ConfigMap to a pod.
	policyInterval = 5 * time.Second
	// policyPace is the time from one listener to the next one that a changed policy is applied to: 20 a second.
	policyPace = 50 * time.Millisecond
)

// policyFollower applies a changed platform policy to all listeners. It runs in each replica of the operator, so that one that
// becomes the leader has the latest policy; there only the leader's queues exist.
type policyFollower struct {
	source   *platform.Source
	interval time.Duration
	reader   client.Reader
	// wake has a listener reconciled after a time, behind those for which something has changed.
	wake     func(listener types.NamespacedName, after time.Duration)
	rejected prometheus.Gauge
	// problem is what the log has about the file, "" for none. due is set while listeners have not been notified of a new
	// policy yet.
	problem string
	due     bool
}

func (s *setup) policy(context.Context) error {
	f := &policyFollower{
		source: s.Platform, interval: s.PolicyInterval, reader: s.client,
		wake: func(listener types.NamespacedName, after time.Duration) {
			s.toAccess.WakeLater(listener, after)
			s.toListener.WakeLater(listener, after)
		},
		rejected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sftp_operator_platform_policy_rejected",
			Help: "1 if the file with the platform's policy cannot be used, so that its content is not in effect.",
		}),
	}
	if f.interval == 0 {
		f.interval = policyInterval
	}
	if err := s.metrics.Register(f.rejected); err != nil {
		return err
	}
	return s.mgr.Add(f)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*policyFollower) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (f *policyFollower) Start(ctx context.Context) error {
	if f.source.File() == "" {
		return nil
	}
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look reads the file once, and reports and applies what has changed.
func (f *policyFollower) look(ctx context.Context) {
	log := ctrl.Log.WithName("platform").WithValues("file", f.source.File())
	changed, err := f.source.Check()
	if err != nil {
		f.rejected.Set(1)
		if f.problem != err.Error() {
			log.Error(err, "The platform's policy cannot be used; the previous one stays in effect")
		}
		f.problem = err.Error()
		return
	}
	if f.problem != "" {
		log.Info("The platform's policy can be used again")
	}
	f.problem = ""
	f.rejected.Set(0)
	if f.due = f.due || changed; !f.due {
		return
	}
	n, err := f.apply(ctx)
	if err != nil {
		log.Error(err, "Cannot list the listeners that the platform's policy is for")
		return
	}
	f.due = false
	log.Info("The platform's policy has changed", "listeners", n)
}

// apply has all listeners reconciled, one after another, and returns how many.
func (f *policyFollower) apply(ctx context.Context) (int, error) {
	var list v1alpha1.SFTPListenerList
	if err := f.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list listeners: %w", err)
	}
	names := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
	}
	for i, name := range inTurns(names) {
		f.wake(name, time.Duration(i)*policyPace)
	}
	return len(names), nil
}

// inTurns orders names so that each namespace has its first before any has its second.
func inTurns(names []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	turn, next := make(map[types.NamespacedName]int, len(names)), map[string]int{}
	for _, n := range names {
		turn[n] = next[n.Namespace]
		next[n.Namespace]++
	}
	slices.SortStableFunc(names, func(a, b types.NamespacedName) int { return turn[a] - turn[b] })
	return names
}
