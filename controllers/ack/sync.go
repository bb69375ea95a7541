package ack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

const (
	// syncTimeout bounds one request to the API server.
	syncTimeout = 2 * time.Second
	// syncsAtOnce bounds how many are in progress for one listener.
	syncsAtOnce = 16
	// SyncAgain is the time after a request until it may be repeated. Measured on Kubernetes
	// 1.37, a pod's volume is refreshed at most about once a second, and a request 300 ms after
	// another has no effect: a change arrives no sooner.
	SyncAgain = 1500 * time.Millisecond
)

// RequestSync makes the kubelets refresh the configuration volumes of the pods for which this
// was not yet requested for this digest. It does not ask the pods first: none can have a
// configuration that was just written, and a slow one must not delay a revocation in the
// others. A failing request does not prevent the others; all errors are returned.
func RequestSync(ctx context.Context, c client.Client, pods []*corev1.Pod, digest string) error {
	var rest []*corev1.Pod
	for _, p := range pods {
		if p.Annotations[v1alpha1.AnnotationConfigDigest] != digest && Running(p) {
			rest = append(rest, p)
		}
	}
	return RequestSyncAgain(ctx, c, rest, digest)
}

// RequestSyncAgain is RequestSync for all of the pods.
func RequestSyncAgain(ctx context.Context, c client.Client, pods []*corev1.Pod, digest string) error {
	errs := make([]error, len(pods))
	places := make(chan struct{}, syncsAtOnce)
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := RequestVolumeSync(ctx, c, p, digest); err != nil {
				errs[i] = fmt.Errorf("annotate pod %s: %w", p.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// RequestVolumeSync makes the kubelet refresh the configuration volume of a pod: changing an
// annotation makes it look at the pod at once, instead of within 60 to 90 seconds. The
// request can get lost, so it is repeated until the pod acknowledges; the time makes each
// request a change. A deleted pod needs none.
func RequestVolumeSync(ctx context.Context, c client.Client, pod *corev1.Pod, digest string) (err error) {
	defer func() {
		if p := recover(); p != nil { // this is a separate goroutine, where a panic would end the operator
			ctrl.LoggerFrom(ctx).Error(fmt.Errorf("panic: %v", p), "Annotating a pod failed", "pod", pod.Name, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		v1alpha1.AnnotationConfigDigest:  digest,
		v1alpha1.AnnotationSyncRequested: time.Now().UTC().Format(time.RFC3339Nano),
	}, "uid": pod.UID}})
	if err != nil {
		return err
	}
	target := &corev1.Pod{}
	target.SetNamespace(pod.Namespace)
	target.SetName(pod.Name)
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	err = c.Patch(ctx, target, client.RawPatch("application/merge-patch+json", patch))
	if apierrors.IsConflict(err) {
		return nil // another pod has its name, so this one is gone
	}
	return client.IgnoreNotFound(err)
}

// errPanic replaces a panic's value, which may quote anything; the log has it.
var errPanic = errors.New("internal error")

// Running reports whether a pod has a kubelet that can refresh its volumes, and is not terminating.
func Running(p *corev1.Pod) bool { return p.Status.PodIP != "" && p.DeletionTimestamp.IsZero() }
