package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/health"
	"github.com/sftp-operator/sftp-operator/test/fakepods"
)

// refreshTime is how long a kubelet takes from a request until the pod's daemon has loaded
// the volume: 0.2 s were measured on a real node.
const refreshTime = 200 * time.Millisecond

// startTime is how long a daemon that starts waits for its configuration, and startPause is the time between checks. A
// kubelet checks every second or so.
const (
	startTime  = time.Hour
	startPause = 200 * time.Millisecond
)

// dataPlane plays the Deployment controller, kubelets and daemons: each Deployment gets one pod with its own address on the
// loopback device, which reports what it has loaded, like a daemon. The pod loads its configuration when the operator requests
// it, with the daemon's own code.
type dataPlane struct {
	api client.Client
	ctx context.Context
	// jobs that run, to be waited for at the end.
	jobs sync.WaitGroup

	mu   sync.Mutex
	pods map[string]*playedPod // by "<namespace>/<listener>"; mu protects it and its values
}

type playedPod struct {
	pod     *corev1.Pod
	daemon  *fakepods.Daemon
	server  *health.Server
	poke    string // the last one seen
	loading bool
	poked   bool // while loading
}

func startDataPlane(ctx context.Context, api client.Client, informers ctrlcache.Cache) (*dataPlane, error) {
	p := &dataPlane{api: api, ctx: ctx, pods: map[string]*playedPod{}}
	deployments, err := informers.GetInformer(ctx, &appsv1.Deployment{})
	if err != nil {
		return nil, err
	}
	pods, err := informers.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return nil, err
	}
	if _, err := deployments.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) {
		if d, ok := o.(*appsv1.Deployment); ok {
			p.jobs.Go(func() { p.complain(p.run(d)) })
		}
	}}); err != nil {
		return nil, err
	}
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, o any) {
		if pod, ok := o.(*corev1.Pod); ok {
			p.poke(pod)
		}
	}})
	return p, err
}

func (p *dataPlane) complain(err error) {
	if err != nil && p.ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "data plane:", err)
	}
}

// run creates the pod of a Deployment: it runs at once, and is ready when it has loaded.
func (p *dataPlane) run(d *appsv1.Deployment) error {
	listener := d.Labels[v1alpha1.LabelListener]
	id := d.Namespace + "/" + listener
	p.mu.Lock()
	n := len(p.pods)
	if p.pods[id] != nil {
		p.mu.Unlock()
		return nil
	}
	name := d.Name + "-0"
	played := &playedPod{daemon: fakepods.New(name)}
	p.pods[id] = played
	p.mu.Unlock()

	address := fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%64, n/250, n%250+1) // two concurrent runs do not collide
	var lc net.ListenConfig
	socket, err := lc.Listen(p.ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(render.HealthPort)))
	if err != nil {
		return err
	}
	server := played.daemon.Server()
	p.jobs.Go(func() { _ = server.Serve(socket) }) // it ends with close

	pod, err := fakepods.Create(p.ctx, p.api, d, name, nil)
	if err != nil {
		return err
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}}
	if err := p.api.Status().Update(p.ctx, pod); err != nil {
		return err
	}
	p.mu.Lock()
	played.pod, played.server = pod, server
	p.mu.Unlock()
	err = poll(p.ctx, startTime, "the configuration of "+id, func() (bool, error) {
		time.Sleep(startPause)
		err := p.load(played)
		if incomplete(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	before := client.MergeFrom(pod.DeepCopy())
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p.api.Status().Patch(p.ctx, pod, before)
}

// poke handles a changed pod like a kubelet.
func (p *dataPlane) poke(pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	played := p.pods[pod.Namespace+"/"+pod.Labels[v1alpha1.LabelListener]]
	if played == nil || played.pod == nil || pod.Annotations[v1alpha1.AnnotationSyncRequested] == played.poke {
		return
	}
	played.poke = pod.Annotations[v1alpha1.AnnotationSyncRequested]
	if played.poked = true; played.loading {
		return
	}
	played.loading = true
	p.jobs.Go(func() { p.complain(p.refresh(played)) })
}

func (p *dataPlane) refresh(played *playedPod) error {
	for {
		p.mu.Lock()
		if !played.poked {
			played.loading = false
			p.mu.Unlock()
			return nil
		}
		played.poked = false
		p.mu.Unlock()
		select {
		case <-p.ctx.Done():
			return nil
		case <-time.After(refreshTime):
		}
		if err := p.load(played); err != nil && !incomplete(err) {
			p.mu.Lock()
			played.loading = false
			p.mu.Unlock()
			return err
		}
	}
}

// incomplete reports whether files are inconsistent or missing: the operator is still writing, and requests a sync again.
func incomplete(err error) bool {
	return errors.Is(err, config.ErrInconsistent) || errors.Is(err, os.ErrNotExist)
}

// load reads what the operator wrote, like the kubelet and the daemon.
func (p *dataPlane) load(played *playedPod) error {
	dir, err := os.MkdirTemp("", "scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := fakepods.Mount(p.ctx, p.api, played.pod, dir); err != nil {
		return err
	}
	files, err := config.Read(dir, nil)
	if err != nil {
		return err
	}
	users := 0
	for _, shard := range files.Shards {
		for range shard.Lines() {
			users++
		}
	}
	played.daemon.Load(files, users)
	return nil
}

// questions returns how many pods have been asked since resetQuestions, and how often in total.
func (p *dataPlane) questions() (pods, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, played := range p.pods {
		n := played.daemon.Asked()
		all += n
		if n > 0 {
			pods++
		}
	}
	return pods, all
}

func (p *dataPlane) resetQuestions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, played := range p.pods {
		played.daemon.ResetAsked()
	}
}

// close ends the played daemons. The context must have ended.
func (p *dataPlane) close() {
	p.mu.Lock()
	for _, played := range p.pods {
		if played.server != nil {
			_ = played.server.Close() // no more questions
		}
	}
	p.mu.Unlock()
	p.jobs.Wait()
}
