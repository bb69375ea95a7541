package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// daemonContainer is the container of a listener's pods that serves and writes the audit log.
const daemonContainer = "sftpd"

// Pods returns the pods of a listener.
func (c *Cluster) Pods(ctx context.Context, l *v1alpha1.SFTPListener) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := c.List(ctx, &list, client.InNamespace(l.Namespace), client.MatchingLabels(render.Selector(l)))
	if err != nil {
		return nil, fmt.Errorf("list the pods of SFTPListener %s/%s: %w", l.Namespace, l.Name, err)
	}
	return list.Items, nil
}

// ReadyPod returns a pod of a listener that accepts logins.
func (c *Cluster) ReadyPod(ctx context.Context, l *v1alpha1.SFTPListener) (*corev1.Pod, error) {
	pods, err := c.Pods(ctx, l)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		for _, cond := range pods[i].Status.Conditions {
			if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue && pods[i].DeletionTimestamp.IsZero() {
				return &pods[i], nil
			}
		}
	}
	return nil, fmt.Errorf("SFTPListener %s/%s has no ready pod out of %d; see kubectl sftp status %s", l.Namespace, l.Name, len(pods), l.Name)
}

// Forward opens a port on 127.0.0.1 that leads to the SFTP port of a pod, until ctx ends. Later connection
// errors are written to log.
func (c *Cluster) Forward(ctx context.Context, pod *corev1.Pod, log io.Writer) (address string, err error) {
	return c.ForwardTo(ctx, pod, render.SFTPPort, log)
}

// ForwardTo does the same as Forward for a different port of a pod.
func (c *Cluster) ForwardTo(ctx context.Context, pod *corev1.Pod, port int, log io.Writer) (address string, err error) {
	core, err := typedcorev1.NewForConfig(c.Config)
	if err != nil {
		return "", err
	}
	url := core.RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, c.Config)
	if err != nil {
		return "", err
	}
	// API servers before 1.31, and proxies that do not pass WebSockets, use SPDY.
	transport, upgrader, err := spdy.RoundTripperFor(c.Config)
	if err != nil {
		return "", err
	}
	fallback := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	dialer = portforward.NewFallbackDialerForStreaming(dialer, fallback,
		func(err error) bool { return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) })
	ready := make(chan struct{})
	const anyPort = 0
	f, err := portforward.NewOnAddressesForStreamingWithContext(ctx, dialer,
		[]string{"127.0.0.1"}, []string{fmt.Sprintf("%d:%d", anyPort, port)}, ready, io.Discard, log)
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		return "", fmt.Errorf("forward a port to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	case <-ready:
	}
	ports, err := f.GetPorts()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local), nil
}

// Logs opens what a pod's daemon has logged since a time.
func (c *Cluster) Logs(ctx context.Context, pod *corev1.Pod, since time.Time) (io.ReadCloser, error) {
	core, err := typedcorev1.NewForConfig(c.Config)
	if err != nil {
		return nil, err
	}
	return core.Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: daemonContainer, SinceTime: &metav1.Time{Time: since},
	}).Stream(ctx)
}
