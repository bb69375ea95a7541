// Command scale measures the operator with many listeners and users on a real API server, and the daemon with many users. There
// is no kubelet: pods are simulated (dataplane.go). The operator and the daemon are the real programs.
//
//	make scale           # all sizes, some tens of minutes
//	make scale QUICK=1   # small ones, two minutes
//	make scale WRITE=1   # and put the tables into docs/scale.md
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

func main() {
	quick := flag.Bool("quick", false, "small sizes")
	write := flag.Bool("write", false, "put the tables into docs/scale.md")
	only := flag.String("only", "", "measure only this: daemon, listener or fleet")
	users := flag.Int("users", 0, "users of each listener of the fleet, instead of 100")
	listeners := flag.Int("listeners", 0, "listeners of the fleet, instead of 10, 100 and 1,000")
	flag.Parse()
	s := full
	if *quick {
		s = small
	}
	if *users > 0 {
		s.fleetUsers = *users
	}
	if *listeners > 0 {
		s.listeners = []int{*listeners}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctrl.SetLogger(logr.Discard())
	if err := run(ctx, s, results{Quick: *quick}, *write, *only); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// sizes of a run.
type sizes struct {
	plan
	daemonUsers   []int
	listenerUsers []int
	listeners     []int // of the fleet; each one is added to the previous ones
	fleetUsers    int
}

var (
	full = sizes{
		plan:        plan{samples: 50, rest: 70 * time.Second},
		daemonUsers: []int{100, 1000, 10_000, 40_000}, listenerUsers: []int{100, 1000, 10_000},
		listeners: []int{10, 100, 1000}, fleetUsers: 100,
	}
	small = sizes{
		plan:        plan{samples: 10, rest: 10 * time.Second},
		daemonUsers: []int{100, 1000}, listenerUsers: []int{100, 1000},
		listeners: []int{10}, fleetUsers: 100,
	}
)

func run(ctx context.Context, s sizes, r results, write bool, only string) error {
	if err := findPrograms(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sftp-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	parts := []struct {
		name string
		run  func(context.Context, string, sizes, *results) error
	}{{"daemon", measureDaemon}, {"listener", measureListener}, {"fleet", measureFleet}}
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		if err := p.run(ctx, dir, s, &r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	fmt.Print("\n", r.tables(""))
	if write {
		return r.write("docs/scale.md")
	}
	return nil
}

// measureListener measures one endpoint with more and more users.
func measureListener(ctx context.Context, dir string, s sizes, r *results) error {
	for i, users := range s.listenerUsers {
		progress("one listener with %d users", users)
		l := newListener(fmt.Sprintf("single-%d", i), users)
		result, err := fresh(ctx, dir, s, []*v1alpha1.SFTPListener{l}, users)
		if err != nil {
			return err
		}
		r.Single = append(r.Single, result)
	}
	return nil
}

// fresh measures listeners on a new cluster.
func fresh(ctx context.Context, dir string, s sizes, listeners []*v1alpha1.SFTPListener, users int) (result fleetResult, err error) {
	err = withCluster(ctx, dir, len(listeners), len(listeners)*users, func(c *cluster) error {
		result, err = c.measure(ctx, s.plan, nil, listeners, users)
		return err
	})
	return result, err
}

// measureFleet measures more and more listeners, with the same number of users each.
func measureFleet(ctx context.Context, dir string, s sizes, r *results) error {
	most := slices.Max(s.listeners)
	return withCluster(ctx, dir, most, most*s.fleetUsers, func(c *cluster) error {
		var there []*v1alpha1.SFTPListener
		for _, n := range s.listeners {
			progress("%d listeners with %d users each", n, s.fleetUsers)
			var listeners []*v1alpha1.SFTPListener
			for i := len(there); i < n; i++ {
				listeners = append(listeners, newListener(fmt.Sprintf("fleet-%04d", i), max(s.fleetUsers, attach.DefaultMaxUsers)))
			}
			result, err := c.measure(ctx, s.plan, there, listeners, s.fleetUsers)
			if err != nil {
				return err
			}
			r.Fleet = append(r.Fleet, result)
			there = append(there, listeners...)
		}
		return nil
	})
}

var started = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%4.0fs] %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }
