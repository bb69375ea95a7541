package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/sftp-operator/sftp-operator/controllers"
	"github.com/sftp-operator/sftp-operator/test/apiserver"
)

// cluster is a real API server with etcd, the real operator, and simulated pods.
type cluster struct {
	dir   string
	env   *envtest.Environment
	api   client.WithWatch
	calls *counter
	pods  *dataPlane
	ready *readiness

	stopWatching context.CancelFunc
	watching     chan error
	proxy        *http.Server
	kubeconfig   string
	operator     *process
	memory       int64 // of the operator, in bytes
	revision     int   // of keys
}

// memoryLimit returns what docs/scale.md recommends, in bytes: the chart's default, or more for larger sizes.
func memoryLimit(listeners, users int) int64 {
	return max(512<<20, 100<<20+int64(listeners)*(64<<10)+int64(users)*(12<<10))
}

// withCluster calls a function with a cluster and an operator for a total number of listeners and users, and stops everything
// afterwards.
func withCluster(ctx context.Context, dir string, listeners, users int, do func(*cluster) error) error {
	c, err := startCluster(ctx, dir)
	if err != nil {
		return err
	}
	c.memory = memoryLimit(listeners, users)
	if err = c.startOperator(); err == nil {
		err = do(c)
	}
	return errors.Join(err, c.close())
}

// startCluster starts everything except the operator. Its files go into dir.
func startCluster(ctx context.Context, dir string) (*cluster, error) {
	c := &cluster{dir: dir}
	var err error
	c.env, err = apiserver.Start(func(p *envtest.ControlPlane) {
		// Changes are kept for five minutes, and each change writes a large shard as a whole.
		p.Etcd = &envtest.Etcd{}
		p.Etcd.Configure().Set("quota-backend-bytes", "8589934592")
		p.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/16") // each listener has a Service
	})
	if err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *cluster) connect(ctx context.Context) error {
	config := rest.CopyConfig(c.env.Config)
	config.QPS = -1
	var err error
	if c.api, err = client.NewWithWatch(config, client.Options{Scheme: controllers.NewScheme()}); err != nil {
		return err
	}
	account, err := apiserver.OperatorAccount(ctx, c.env, c.api)
	if err != nil {
		return err
	}
	if err := c.count(ctx, account); err != nil {
		return err
	}
	return c.watch(ctx, config)
}

// count starts the proxy between the operator and the API server.
func (c *cluster) count(ctx context.Context, account *rest.Config) error {
	var err error
	if c.calls, err = newCounter(account); err != nil {
		return err
	}
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.proxy = &http.Server{Handler: c.calls, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = c.proxy.Serve(socket) }() // it ends with close
	k := clientcmdapi.NewConfig()
	k.Clusters["scale"] = &clientcmdapi.Cluster{Server: "http://" + socket.Addr().String()}
	k.Contexts["scale"] = &clientcmdapi.Context{Cluster: "scale"}
	k.CurrentContext = "scale"
	c.kubeconfig = filepath.Join(c.dir, "kubeconfig")
	return clientcmd.WriteToFile(*k, c.kubeconfig)
}

// watch starts what simulates pods and what observes users becoming ready.
func (c *cluster) watch(ctx context.Context, config *rest.Config) error {
	informers, err := ctrlcache.New(config, ctrlcache.Options{Scheme: controllers.NewScheme(), DefaultTransform: onlyConditions})
	if err != nil {
		return err
	}
	ctx, c.stopWatching = context.WithCancel(ctx)
	if c.pods, err = startDataPlane(ctx, c.api, informers); err != nil {
		return err
	}
	if c.ready, err = watchReadiness(ctx, informers); err != nil {
		return err
	}
	c.watching = make(chan error, 1)
	go func() { c.watching <- informers.Start(ctx) }()
	if !informers.WaitForCacheSync(ctx) {
		return errors.New("caches do not fill")
	}
	return nil
}

// startOperator starts the operator, as in a pod of its own.
func (c *cluster) startOperator() error {
	var err error
	c.operator, err = startProcess(filepath.Join(c.dir, "manager.log"), manager,
		[]string{"KUBECONFIG=" + c.kubeconfig, fmt.Sprint("MEMORY_LIMIT=", c.memory)},
		"-operator-namespace=sftp-system", "-daemon-image=played", "-metrics-bind-address=0", "-health-probe-bind-address=0")
	return err
}

func (c *cluster) stopOperator() error {
	p := c.operator
	c.operator = nil
	return p.stop()
}

// close ends everything that start started.
func (c *cluster) close() (err error) {
	if c.operator != nil {
		err = c.stopOperator()
	}
	if c.stopWatching != nil {
		c.stopWatching()
	}
	if c.pods != nil {
		c.pods.close()
	}
	if c.watching != nil {
		err = errors.Join(err, <-c.watching)
	}
	if c.proxy != nil {
		err = errors.Join(err, c.proxy.Close())
	}
	return errors.Join(err, c.env.Stop())
}

// programs that are measured.
var manager, sftpd = "bin/manager", "bin/sftpd"

func findPrograms() error {
	for _, p := range []string{manager, sftpd} {
		if _, err := os.Stat(p); err != nil {
			return fmt.Errorf("%w; run make scale", err)
		}
	}
	return nil
}
