package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/drift"
)

// step runs a part of Apply. Whatever its result, the next one runs as well.
func (r *run) step(ctx context.Context, kind, name string, do func(context.Context) error) bool {
	err := guarded(ctx, do)
	if err == nil {
		return true
	}
	r.note(fmt.Sprintf("%s %q", kind, name), err)
	return false
}

// guarded turns a panic into an error.
func guarded(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value and the stack must not be in a status: they may quote anything.
			ctrl.LoggerFrom(ctx).Error(errPanic, "Panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return do(ctx)
}

var errPanic = errors.New("internal error of the operator in this step; its log has the details")

// note records why an object was not applied.
func (r *run) note(object string, err error) {
	if apply.NamespaceEnding(err) {
		r.out.NamespaceEnding = true
		return
	}
	refusal := Refusal{Object: object, Reason: v1alpha1.ReasonApplyFailed}
	var conflict *apply.ConflictError
	message, refused := apply.Refusal(err)
	switch {
	case errors.As(err, &conflict):
		refusal.Reason, refusal.Message = v1alpha1.ReasonResourceConflict, conflict.Error()
		r.retryIn(apply.RetryRefused)
	case refused:
		refusal.Message = message
		r.retryIn(apply.RetryRefused)
	default:
		refusal.Message, refusal.Temporary = fmt.Sprintf("%s: %s; the operator retries", object, err), true
		r.out.Err = errors.Join(r.out.Err, fmt.Errorf("%s: %w", object, err))
	}
	r.out.Refusals = append(r.out.Refusals, refusal)
}

// retryIn requests another reconcile; the shortest delay wins.
func (r *run) retryIn(d time.Duration) {
	if r.out.Retry == 0 || d < r.out.Retry {
		r.out.Retry = d
	}
}

// compare records where an object differs from what the operator wants.
func (r *run) compare(live, want client.Object) {
	if live != nil {
		r.out.Drift = append(r.out.Drift, drift.Of(live, want)...)
	}
}
