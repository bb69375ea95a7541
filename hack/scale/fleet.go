package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// fleetResult has the costs of one fleet size.
type fleetResult struct {
	Listeners, Users int
	// Made is the time from the first object to the last user that is ready, and MadeWrites the operator's writes in it.
	Made       time.Duration
	MadeWrites int
	// RSS is resident memory after the changes, Peak its maximum until then, and Memory the operator's limit, in bytes.
	RSS, Peak, Memory int64
	// P50 and P99 are times from a change to one user until it is ready, in an idle system.
	P50, P99 time.Duration
	// Writes, Bytes and CPU are the operator's, for each of these changes.
	Writes, Bytes float64
	CPU           time.Duration
	// Reads are GETs of the operator for each change.
	Reads float64
	// RestCalls are the operator's calls in a minute in which nothing changes, and RestCPU its share of a processor.
	RestCalls float64
	RestCPU   float64
	// Restart is the time from the start of the operator until every pod has been asked, RestartReads and RestartWrites its
	// calls until then and shortly after.
	Restart                     time.Duration
	RestartReads, RestartWrites int
	RestartPeak                 int64
}

// plan is how thoroughly to measure.
type plan struct {
	samples int           // changes in an idle system
	rest    time.Duration // how long the operator is watched doing nothing
}

// measure creates listeners with users each, in addition to the existing ones, and measures the operator with all of them.
func (c *cluster) measure(ctx context.Context, p plan, there, listeners []*v1alpha1.SFTPListener, users int) (fleetResult, error) {
	all := slices.Concat(there, listeners)
	r := fleetResult{Listeners: len(all), Users: users, Memory: c.memory}
	c.calls.take()
	before := c.ready.count()
	start := time.Now()
	if err := c.make(ctx, listeners, users); err != nil {
		return r, err
	}
	progress("%d users created in %s", users*len(listeners), since(start))
	want := before + users*len(listeners)
	err := poll(ctx, time.Hour, fmt.Sprintf("%d users ready", want), func() (bool, error) { return c.ready.count() >= want, nil })
	if err != nil {
		return r, err
	}
	r.Made = time.Since(start)
	progress("all ready after %s", since(start))
	if err := c.settle(ctx); err != nil {
		return r, err
	}
	calls := c.calls.take()
	r.MadeWrites = calls.writes().number
	progress("until then: %s", calls)
	for _, step := range []func(context.Context, plan, []*v1alpha1.SFTPListener, *fleetResult) error{c.changes, c.rest, c.restart} {
		if err := step(ctx, p, all, &r); err != nil {
			return r, err
		}
	}
	progress("operator: %s, maximum %s; %s of CPU time for a change, %s written", size(r.RSS), size(r.Peak), duration(r.CPU), size(int64(r.Bytes)))
	return r, nil
}

// settle waits until the operator has written nothing for a few seconds: events and the like come after readiness.
func (c *cluster) settle(ctx context.Context) error {
	quiet := 3 * time.Second
	last, at := -1, time.Now()
	return poll(ctx, 10*time.Minute, "the operator goes idle", func() (bool, error) {
		if n := c.calls.peek(); n != last {
			last, at = n, time.Now()
		}
		return time.Since(at) > quiet, nil
	})
}

// changes gives one user after another a new key.
func (c *cluster) changes(ctx context.Context, p plan, all []*v1alpha1.SFTPListener, r *fleetResult) error {
	c.calls.take()
	began, err := c.operator.usage()
	if err != nil {
		return err
	}
	var times []time.Duration
	for i := range p.samples {
		l := all[i*len(all)/p.samples]
		start := time.Now()
		c.revision++
		u, err := c.rotate(ctx, l.Namespace, i%r.Users, c.revision)
		if err != nil {
			return err
		}
		at, err := c.ready.wait(ctx, u, time.Minute)
		if err != nil {
			return err
		}
		times = append(times, at.Sub(start))
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	ended, err := c.operator.usage()
	if err != nil {
		return err
	}
	t := c.calls.take()
	n := float64(p.samples)
	r.P50, r.P99 = quantile(times, 0.5), quantile(times, 0.99)
	r.Writes, r.Bytes, r.Reads = float64(t.writes().number)/n, float64(t.writes().sent)/n, float64(t.reads().number)/n
	r.CPU = (ended.cpu - began.cpu) / time.Duration(p.samples)
	r.RSS, r.Peak = ended.rss, ended.peak
	progress("%d changes: p50 %s, p99 %s, %s", p.samples, r.P50, r.P99, t)
	return nil
}

// rest watches the operator while nothing happens.
func (c *cluster) rest(ctx context.Context, p plan, _ []*v1alpha1.SFTPListener, r *fleetResult) error {
	c.calls.take()
	began, err := c.operator.usage()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.rest):
	}
	ended, err := c.operator.usage()
	if err != nil {
		return err
	}
	t := c.calls.take()
	r.RestCalls = float64(t.reads().number+t.writes().number) / p.rest.Minutes()
	r.RestCPU = float64(ended.cpu-began.cpu) / float64(p.rest)
	progress("at rest for %s: %.1f %% of a processor, %s", p.rest, 100*r.RestCPU, t)
	return nil
}

// restart restarts the operator, which reads the existing objects, asks all pods, and writes nothing.
func (c *cluster) restart(ctx context.Context, _ plan, all []*v1alpha1.SFTPListener, r *fleetResult) error {
	if err := c.stopOperator(); err != nil {
		return err
	}
	c.pods.resetQuestions()
	c.calls.take()
	start := time.Now()
	if err := c.startOperator(); err != nil {
		return err
	}
	err := poll(ctx, 10*time.Minute, "all pods are asked", func() (bool, error) {
		pods, _ := c.pods.questions()
		return pods == len(all), nil
	})
	if err != nil {
		return err
	}
	r.Restart = time.Since(start)
	if err := c.settle(ctx); err != nil {
		return err
	}
	u, err := c.operator.usage()
	if err != nil {
		return err
	}
	t := c.calls.take()
	r.RestartReads, r.RestartWrites, r.RestartPeak = t.reads().number, t.writes().number, u.peak
	progress("restart: steady after %s, %s", r.Restart.Round(time.Millisecond), t)
	return nil
}

// quantile returns a quantile of times, where q is at most 1.
func quantile(times []time.Duration, q float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(time.Millisecond)
}
