package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// jobPoll is how often a Job is checked.
	jobPoll = 300 * time.Millisecond
	// maxJobLog is how much of a Job's log is read, in bytes.
	maxJobLog = 1 << 20
)

// RunJob creates a Job, waits for its end, removes it, and returns what its pod has logged. The Job stays if it did not end
// before ctx did.
func (c *Cluster) RunJob(ctx context.Context, job *batchv1.Job) (log string, err error) {
	if err := c.Create(ctx, job); err != nil {
		return "", fmt.Errorf("create a Job in namespace %s: %w", job.Namespace, err)
	}
	name := client.ObjectKeyFromObject(job)
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the Job %s did not finish in time: %s. It is still running; read its log for the result", name, c.whyWaiting(context.WithoutCancel(ctx), job))
		case <-time.After(jobPoll):
		}
		if err := c.Get(ctx, name, job); err != nil && ctx.Err() == nil {
			return "", fmt.Errorf("get Job %s: %w", name, err)
		}
		for _, cond := range job.Status.Conditions {
			if cond.Status != corev1.ConditionTrue || cond.Type != batchv1.JobComplete && cond.Type != batchv1.JobFailed {
				continue
			}
			log, err := c.jobLog(ctx, job)
			if cond.Type == batchv1.JobFailed {
				err = errors.Join(err, fmt.Errorf("the Job %s failed: %s", name, cond.Message))
			}
			return log, errors.Join(err, client.IgnoreNotFound(c.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))))
		}
	}
}

func (c *Cluster) podsOfJob(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := c.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	return list.Items, err
}

func (c *Cluster) jobLog(ctx context.Context, job *batchv1.Job) (string, error) {
	pods, err := c.podsOfJob(ctx, job)
	if err != nil {
		return "", fmt.Errorf("list the pods of Job %s: %w", job.Name, err)
	}
	core, err := typedcorev1.NewForConfig(c.Config)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for i := range pods {
		r, err := core.Pods(job.Namespace).GetLogs(pods[i].Name, &corev1.PodLogOptions{LimitBytes: new(int64(maxJobLog))}).Stream(ctx)
		if err != nil {
			return out.String(), fmt.Errorf("read the log of pod %s: %w", pods[i].Name, err)
		}
		_, err = io.Copy(&out, io.LimitReader(r, maxJobLog))
		if err := errors.Join(err, r.Close()); err != nil {
			return out.String(), fmt.Errorf("read the log of pod %s: %w", pods[i].Name, err)
		}
	}
	return out.String(), nil
}

// whyWaiting returns what a Job's pod waits for.
func (c *Cluster) whyWaiting(ctx context.Context, job *batchv1.Job) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	pods, err := c.podsOfJob(ctx, job)
	if err != nil || len(pods) == 0 {
		return "it has no pod"
	}
	p := pods[0]
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return fmt.Sprintf("pod %s: %s", p.Name, cond.Message)
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil {
			return fmt.Sprintf("pod %s: %s %s", p.Name, w.Reason, w.Message)
		}
	}
	return fmt.Sprintf("pod %s is %s", p.Name, p.Status.Phase)
}
