// Package ack makes pods load a configuration and asks them what they have loaded.
//
// Anything may answer at a pod's address: a foreign process, if the address was reassigned
// or a pod only claims to be the listener's, or a compromised daemon. So an answer counts
// only if it proves the listener's configuration (config.StatusKey), requests contain
// nothing that others could use, and each answer is bounded before it is read.
package ack

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Keys are a listener's config.StatusKey and the previous one, "" if there is none, of pods
// that have not loaded a host-key rotation yet, or are terminating and will not load it.
type Keys [2]string

// StatusClient asks pods for their state.
type StatusClient interface {
	// Status returns which configuration the pod has loaded.
	Status(ctx context.Context, pod *corev1.Pod, keys Keys) (Answer, error)
	// KeyUse asks which keys were used since an earlier report of the pod. The key is that of a
	// proven answer to Status.
	KeyUse(ctx context.Context, pod *corev1.Pod, key string, known Known, before config.KeyUseReport) (config.KeyUseReport, error)
}

// Answer is what a pod has answered and proven.
type Answer struct {
	config.Status
	// Key is the key that proved it.
	Key string
}

// ErrUnproven is returned for an answer that does not prove that it comes from the pod and that
// the pod has the listener's configuration.
var ErrUnproven = errors.New("it does not prove that it holds the listener's configuration")

// Ready reports whether a pod serves clients: it is ready and not terminating.
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
