package poll

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/fair"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

const (
	// passTimeout is how long a pass over a listener waits for answers. A slower pod's answer is
	// processed when it arrives: neither the other pods nor a worker wait for it.
	passTimeout = 100 * time.Millisecond
	// requestTimeout bounds the requests to a pod that are asked together.
	requestTimeout = 3 * time.Second
	// asksAtOnce bounds how many pods are asked at a time. A namespace gets a share of it.
	asksAtOnce = 256
	// asksOfListener is how many pods of one listener a pass asks at a time.
	asksOfListener = 16
)

// errPanic replaces a panic's value, which may quote anything; the log has it.
var errPanic = errors.New("internal error of the operator")

// asks are the requests in progress in this process. The zero value is ready for use.
type asks struct {
	once    sync.Once
	places  chan struct{}
	limiter *fair.Limiter
}

func (a *asks) init() {
	a.once.Do(func() { a.places, a.limiter = make(chan struct{}, asksAtOnce), fair.New(asksAtOnce) })
}

// request is a request to a pod.
type request struct {
	pod *corev1.Pod
	// of is what is known about the pod.
	of   *pod
	turn int
	// uses is set to ask for the use of keys as well, after a report.
	uses  bool
	after config.KeyUseReport
}

// answer is the result of a request. report is nil if there is none.
type answer struct {
	ack.Outcome
	report *config.KeyUseReport
}

// ask asks pods, and waits for their answers for at most passTimeout. Pods that it could not ask,
// because the namespace has too many requests in progress, stay due; delay is when to try
// again.
func (p *Poller) ask(ctx context.Context, name types.NamespacedName, l *listener, t Target, requests []*request) (delay time.Duration) {
	p.asks.init()
	// It must outlast this pass.
	ctx = context.WithoutCancel(ctx)
	places := make(chan struct{}, asksOfListener)
	done := make(chan struct{})
	late := false // p.mu guards it
	var wg sync.WaitGroup
	for _, q := range requests {
		if !p.asks.limiter.Acquire(name.Namespace) {
			p.mu.Lock()
			q.of.inProgress = false
			p.mu.Unlock()
			delay = p.asks.limiter.Delay(name.Namespace)
			continue
		}
		wg.Go(func() {
			defer p.asks.limiter.Release(name.Namespace)
			places <- struct{}{}
			p.asks.places <- struct{}{}
			a := p.request(ctx, t, q)
			<-p.asks.places
			<-places
			p.mu.Lock()
			defer p.mu.Unlock()
			l.note(q, a, p.Now())
			if late {
				p.look(name)
			}
		})
	}
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(passTimeout):
	}
	p.mu.Lock()
	late = true
	p.mu.Unlock()
	return delay
}

// request asks one pod. It asks for the use of keys only after the pod has proven itself.
func (p *Poller) request(ctx context.Context, t Target, q *request) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // this is a separate goroutine, where a panic would end the operator
			ctrl.LoggerFrom(ctx).Error(fmt.Errorf("panic: %v", v), "Asking a pod failed", "pod", q.pod.Name, "stack", string(debug.Stack()))
			a = answer{Outcome: ack.Outcome{Err: errPanic}}
		}
	}()
	a.Answer, a.Err = p.StatusClient.Status(ctx, q.pod, t.Keys)
	if a.Err != nil || !q.uses {
		return a
	}
	r, err := p.StatusClient.KeyUse(ctx, q.pod, a.Key, t.Known, q.after)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("A pod does not report the use of keys", "pod", q.pod.Name, "error", err.Error())
		return a
	}
	a.report = &r
	return a
}
