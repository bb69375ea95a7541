// Package ack makes pods load a configuration and asks them what they have loaded.
//
// What answers at a pod's address may be anything: a foreign process, if the address changed
// hands or a pod only claims to be the listener's, or a daemon that was taken over. So no
// answer counts that does not prove the listener's configuration (config.StatusKey), nothing
// that is sent is of use to another one, and each answer is bounded before it is read.
package ack

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Keys are a listener's config.StatusKey and the one before, "" if there is none, of pods that
// have not loaded a rotation of host keys yet, or are about to end and will not any more.
type Keys [2]string

// Asker asks a pod.
type Asker interface {
	// Ask asks which configuration the pod has loaded.
	Ask(ctx context.Context, pod *corev1.Pod, keys Keys) (Answer, error)
	// KeyUse asks which keys were used since a report that the pod gave before. The key is that
	// of a proven answer of Ask.
	KeyUse(ctx context.Context, pod *corev1.Pod, key string, known Known, before config.KeyUseReport) (config.KeyUseReport, error)
}

// Answer is what a pod has answered and proven.
type Answer struct {
	config.Status
	// Key is the one that has proven it.
	Key string
}

// ErrUnproven is returned for an answer that does not prove that it comes from the pod and that
// the pod has the listener's configuration.
var ErrUnproven = errors.New("it does not prove that it holds the listener's configuration")

// Ready reports whether a pod serves clients: it is ready and not about to end.
func Ready(pod *corev1.Pod) bool {
	if !pod.DeletionTimestamp.IsZero() || pod.Status.PodIP == "" {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
