package ack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// Waiter brings a configuration to pods.
type Waiter struct {
	Client client.Client
	Asker  Asker
	// Pods lists a listener's pods as they are now.
	Pods func(ctx context.Context) ([]corev1.Pod, error)

	// told is when Tell has poked the pods, zero if it has not.
	told time.Time
}

// Result is what the pods say.
type Result struct {
	// Ready is the number of ready pods.
	Ready int
	// Acknowledged is the number of them that have loaded the wanted configuration.
	Acknowledged int
	// Behind are the names of those that have not, sorted.
	Behind []string
	// Sessions is the number of sessions in the ready pods, nil if one does not say.
	Sessions *int32
	// Volumes are what the ready pods say of the volumes that users may write to.
	Volumes []Volume
	// Rejected are the UIDs of users whose records some pod could not use.
	Rejected map[string]bool
	// Refused is what a pod says that cannot load the wanted configuration, "" if none.
	Refused string
	// Unreachable is why a ready pod could not be asked, "" if all could.
	Unreachable string
}

// Volume is what a pod says of a volume.
type Volume struct {
	Pod string
	config.VolumeStatus
}

// Done says whether every ready pod, and at least one, has the configuration.
func (r Result) Done() bool { return r.Ready > 0 && r.Acknowledged == r.Ready }

// Same says whether pods say the same again, but for the number of sessions, which changes all the
// time.
func (r Result) Same(o Result) bool {
	r.Sessions, o.Sessions = nil, nil
	return equality.Semantic.DeepEqual(r, o)
}

// Survey asks all ready pods, once, whether they have loaded the configuration with the digest.
func Survey(ctx context.Context, asker Asker, pods []corev1.Pod, digest string) Result {
	r, _ := survey(ctx, asker, pods, digest)
	return r
}

// maxVolumes bounds what a pod is believed of volumes; a listener has no more.
const maxVolumes = 16

// pollInterval is the time between two questions to a pod.
const pollInterval = 50 * time.Millisecond

// pokeTimes are the times after the first poke at which pods that have not acknowledged are
// poked. Measured on Kubernetes 1.37, a pod's volume is refreshed at most about once a
// second, and a poke 300 ms after another brings nothing: a change arrives as late as without.
var pokeTimes = []time.Duration{0, 1500 * time.Millisecond}

// Tell pokes the pods that were not told of a configuration that was just written. It does
// not ask them first, as Wait does: none can have it yet, and one that is slow to answer
// must not keep the others waiting for a revocation.
func (w *Waiter) Tell(ctx context.Context, digest string) error {
	pods, err := w.Pods(ctx)
	if err != nil {
		return err
	}
	var untold []*corev1.Pod
	for i := range pods {
		p := &pods[i]
		if p.Status.PodIP != "" && p.DeletionTimestamp.IsZero() && p.Annotations[v1alpha1.AnnotationConfigDigest] != digest {
			untold = append(untold, p)
		}
	}
	if err := w.poke(ctx, untold, digest); err != nil {
		return err
	}
	w.told = time.Now()
	return nil
}

// poke pokes pods, all at once.
func (w *Waiter) poke(ctx context.Context, pods []*corev1.Pod, digest string) error {
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() {
			if err := Poke(ctx, w.Client, p, digest); err != nil {
				errs[i] = fmt.Errorf("annotate pod %s: %w", p.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Wait pokes the pods and asks them until all ready ones have loaded the configuration
// with the digest, or until the time is over.
func (w *Waiter) Wait(ctx context.Context, digest string, limit time.Duration) (Result, error) {
	start := time.Now()
	poked, firstPoke := 0, start
	if !w.told.IsZero() {
		poked, firstPoke = 1, w.told
	}
	for {
		pods, err := w.Pods(ctx)
		if err != nil {
			return Result{}, err
		}
		r, behind := survey(ctx, w.Asker, pods, digest)
		if poked < len(pokeTimes) && time.Since(firstPoke) >= pokeTimes[poked] {
			if err := w.poke(ctx, behind, digest); err != nil {
				return r, err
			}
			poked++
		}
		if r.Acknowledged == r.Ready || time.Since(start) >= limit || ctx.Err() != nil {
			return r, ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// survey asks all ready pods at once. It returns those to poke: ready ones that have not
// acknowledged, and others that run and were not told of this configuration yet, because
// they may lack only it to become ready.
func survey(ctx context.Context, asker Asker, pods []corev1.Pod, digest string) (Result, []*corev1.Pod) {
	// Caches list in any order, and the result must not differ each time.
	pods = slices.SortedFunc(slices.Values(pods), func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	type answer struct {
		status config.Status
		err    error
	}
	answers := make([]answer, len(pods))
	var wg sync.WaitGroup
	for i := range pods {
		if !Ready(&pods[i]) {
			continue
		}
		wg.Go(func() { answers[i].status, answers[i].err = asker.Ask(ctx, &pods[i]) })
	}
	wg.Wait()

	r := Result{Rejected: map[string]bool{}}
	sessions, told := 0, 0
	var behind []*corev1.Pod
	for i := range pods {
		p := &pods[i]
		if !Ready(p) {
			if p.Status.PodIP != "" && p.Annotations[v1alpha1.AnnotationConfigDigest] != digest {
				behind = append(behind, p)
			}
			continue
		}
		r.Ready++
		if n := answers[i].status.Sessions; n != nil && answers[i].err == nil {
			sessions += max(*n, 0)
			told++
		}
		for _, v := range answers[i].status.Volumes[:min(len(answers[i].status.Volumes), maxVolumes)] {
			r.Volumes = append(r.Volumes, Volume{Pod: p.Name, VolumeStatus: v})
		}
		switch a := answers[i]; {
		case a.err != nil:
			r.Unreachable = fmt.Sprintf("pod %s: %v", p.Name, plain(a.err))
		case a.status.Digest == digest:
			r.Acknowledged++
			for _, uid := range a.status.RejectedUIDs {
				r.Rejected[uid] = true
			}
			continue
		case a.status.FailedDigest == digest:
			r.Refused = fmt.Sprintf("pod %s: %s", p.Name, a.status.Error)
		}
		r.Behind = append(r.Behind, p.Name)
		behind = append(behind, p)
	}
	slices.Sort(r.Behind)
	if told == r.Ready {
		r.Sessions = new(int32(min(sessions, math.MaxInt32)))
	}
	return r, behind
}

// plain is an error of the network without the port that the kernel chose: it is in a
// status, which must not differ each time.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}
