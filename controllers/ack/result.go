package ack

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Result is what the pods report. It is immutable once Summarize has returned it.
//
//nolint:recvcheck // see judge
type Result struct {
	// Digest of the configuration that the pods were asked for.
	Digest string
	// Ready is the number of ready pods.
	Ready int
	// Acknowledged is the number of them that have loaded the wanted configuration.
	Acknowledged int
	// Loaded is the digest that each ready pod has proven to have loaded, "" for none, in order of their names.
	Loaded []string
	// Behind are the names of those that have not, sorted.
	Behind []string
	// Late is the time since which each pod of Behind has lacked its wanted configuration, whichever that was, in whole
	// seconds.
	Late map[string]time.Time
	// Began is when the pods could first load this configuration: when it was written, or when
	// a pod was ready to load it, if that was later. It is zero if another process of the
	// operator has written it. Completed is when all ready pods had it for the first time.
	Began, Completed time.Time
	// Sessions is the number of sessions in the ready pods, nil if one did not report it.
	Sessions *int32
	// Volumes is what the ready pods report about the volumes that users may write to.
	Volumes []Volume
	// Retention is what the ready pods report about the last runs of retention: of each rule on each volume the latest.
	Retention []config.RetentionStatus
	// Receipts is what the ready pods that issue receipts report about them.
	Receipts []Receipts
	// Rejected are the UIDs of users whose records some pod could not use.
	Rejected map[string]bool
	// Refused is the message of a pod that cannot load the wanted configuration, "" if none.
	Refused string
	// Unreachable is why a ready pod could not be asked, "" if all could.
	Unreachable string
	// Unproven is a ready pod that does not prove its answer, "" if all do.
	Unproven string
}

// Volume is what a pod reports about a volume.
type Volume struct {
	Pod string
	config.VolumeStatus
}

// Receipts is what a pod reports about receipts.
type Receipts struct {
	Pod string
	config.ReceiptsStatus
}

// Done reports whether every ready pod, and at least one, has the configuration.
func (r Result) Done() bool { return r.Ready > 0 && r.Acknowledged == r.Ready }

// Same reports whether two results are equal except for the number of sessions, which changes
// constantly.
func (r Result) Same(o Result) bool {
	return r.Digest == o.Digest && r.Ready == o.Ready && r.Acknowledged == o.Acknowledged &&
		slices.Equal(r.Behind, o.Behind) && slices.Equal(r.Loaded, o.Loaded) &&
		maps.EqualFunc(r.Late, o.Late, time.Time.Equal) && r.Began.Equal(o.Began) && r.Completed.Equal(o.Completed) &&
		slices.Equal(r.Volumes, o.Volumes) && slices.EqualFunc(r.Retention, o.Retention, sameRun) && slices.Equal(r.Receipts, o.Receipts) &&
		maps.Equal(r.Rejected, o.Rejected) && r.Refused == o.Refused && r.Unreachable == o.Unreachable && r.Unproven == o.Unproven
}

// Outcome is the result of asking a pod.
type Outcome struct {
	Answer
	Err error
}

// Acknowledges reports whether the pod has proven that it has loaded a configuration. Only the
// current key proves the current configuration: its digest covers the host keys.
func (o Outcome) Acknowledges(digest string, keys Keys) bool {
	return o.Err == nil && o.Digest == digest && o.Key == keys[0]
}

const (
	// maxVolumes bounds the volumes that a pod may report; a listener has no more.
	maxVolumes = 16
	// maxReason bounds how much of a pod's or a connection's error is shown, in bytes.
	maxReason = 512
)

// Summarize combines the answers of ready pods. The pods must be sorted by name, so that the
// result is stable. An outcome may be nil: the pod was not asked yet.
func Summarize(pods []*corev1.Pod, outcome func(*corev1.Pod) *Outcome, digest string, keys Keys, known Known) Result {
	r := Result{Digest: digest, Rejected: map[string]bool{}}
	sessions, told := 0, 0
	for _, p := range pods {
		if !Ready(p) {
			continue
		}
		r.Ready++
		o := outcome(p)
		r.Loaded = append(r.Loaded, loaded(o))
		if o != nil && o.Err == nil {
			if o.Sessions != nil {
				sessions += min(max(*o.Sessions, 0), math.MaxInt32)
				told++
			}
			for _, v := range o.Volumes[:min(len(o.Volumes), maxVolumes)] {
				r.Volumes = append(r.Volumes, Volume{Pod: p.Name, VolumeStatus: v})
			}
			r.addRetention(o.Retention)
			if s := o.Receipts; s != nil {
				r.Receipts = append(r.Receipts, Receipts{Pod: p.Name, ReceiptsStatus: config.ReceiptsStatus{
					Failing: clip(s.Failing), NotDurable: clip(s.NotDurable), NotRemoved: clip(s.NotRemoved),
				}})
			}
		}
		if r.judge(p.Name, o, digest, keys, known) {
			r.Acknowledged++
		} else {
			r.Behind = append(r.Behind, p.Name)
		}
	}
	if told == r.Ready {
		r.Sessions = new(int32(min(sessions, math.MaxInt32)))
	}
	return r
}

// loaded returns the digest that a pod has proven to have loaded, "" for none.
func loaded(o *Outcome) string {
	if o == nil || o.Err != nil {
		return ""
	}
	return o.Digest
}

// judge adds one pod's answer, and reports whether the pod has the configuration.
func (r *Result) judge(pod string, o *Outcome, digest string, keys Keys, known Known) bool {
	switch {
	case o == nil:
	case errors.Is(o.Err, ErrUnproven):
		r.Unproven = fmt.Sprintf("pod %s: %v", pod, ErrUnproven)
	case o.Err != nil:
		r.Unreachable = fmt.Sprintf("pod %s: %s", pod, clip(plain(o.Err).Error()))
	case o.Acknowledges(digest, keys):
		for _, uid := range o.RejectedUIDs {
			if known.user(uid) {
				r.Rejected[uid] = true
			}
		}
		return true
	case o.Digest == digest:
		r.Unproven = fmt.Sprintf("pod %s: %v", pod, ErrUnproven)
	case o.FailedDigest == digest:
		r.Refused = fmt.Sprintf("pod %s: %s", pod, clip(o.Error))
	}
	return false
}

// Sorted returns pods sorted by name. Caches list in any order.
func Sorted(pods []*corev1.Pod) []*corev1.Pod {
	return slices.SortedFunc(slices.Values(pods), func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
}

// clip shortens a text for a condition, and makes it valid UTF-8.
func clip(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// plain returns a network error without the port that the kernel chose: it is shown in a
// status, which must be stable.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}
