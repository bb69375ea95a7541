package listener

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// resolveHostKeys reads the host keys. When one cannot be used, the whole set that was
// rendered before stays: no endpoint loses or changes a host key because an object is
// missing.
func (s *scope) resolveHostKeys(ctx context.Context) error {
	names := make([]string, 0, len(s.listener.Spec.HostKeyRefs))
	for _, ref := range s.listener.Spec.HostKeyRefs {
		names = append(names, ref.Name)
	}
	if len(names) == 0 {
		if _, err := s.Applier.Apply(ctx, render.HostKey(s.listener), s.listener, s.mine); err != nil {
			return s.refused(err)
		}
		names = append(names, render.DefaultHostKeyName(s.listener))
	}
	types := map[string]string{}
	for _, name := range names {
		m, problem, err := s.hostKey(ctx, name)
		if err != nil {
			return err
		}
		if problem == nil {
			if other, twice := types[m.Public.Type()]; twice {
				problem = &conditionProblem{
					v1alpha1.ReasonInvalidHostKey,
					fmt.Sprintf("SFTPKeys %q and %q are both of type %s; a listener presents one key of each type", other, name, m.Public.Type()),
				}
			}
		}
		if problem != nil {
			s.unresolved(problem.reason, problem.message)
			s.hostKeys = nil
			return nil
		}
		types[m.Public.Type()] = name
		s.hostKeys = append(s.hostKeys, hostKey{name: name, Material: m})
	}
	s.memory.hostKeys = nil
	for _, k := range s.hostKeys {
		s.memory.hostKeys = append(s.memory.hostKeys, k.Private)
	}
	return nil
}

type conditionProblem struct{ reason, message string }

func (s *scope) hostKey(ctx context.Context, name string) (key.Material, *conditionProblem, error) {
	k := &v1alpha1.SFTPKey{}
	err := s.Client.Get(ctx, types.NamespacedName{Namespace: s.listener.Namespace, Name: name}, k)
	switch {
	case apierrors.IsNotFound(err) && len(s.listener.Spec.HostKeyRefs) == 0:
		// It was applied just now; its event will bring us back.
		return key.Material{}, &conditionProblem{v1alpha1.ReasonPending, fmt.Sprintf("SFTPKey %q is being made", name)}, nil
	case apierrors.IsNotFound(err):
		return key.Material{}, &conditionProblem{
			v1alpha1.ReasonHostKeyNotFound,
			fmt.Sprintf("SFTPKey %q does not exist in namespace %q; create it or correct spec.hostKeyRefs", name, s.listener.Namespace),
		}, nil
	case err != nil:
		return key.Material{}, nil, fmt.Errorf("read SFTPKey %s: %w", name, err)
	case k.Spec.Usage != v1alpha1.KeyUsageHost:
		return key.Material{}, &conditionProblem{
			v1alpha1.ReasonInvalidHostKey,
			fmt.Sprintf("SFTPKey %q has usage %s; a host key needs usage Host", name, k.Spec.Usage),
		}, nil
	}
	secret := &corev1.Secret{}
	err = s.Live.Get(ctx, types.NamespacedName{Namespace: k.Namespace, Name: key.SecretName(k)}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return key.Material{}, nil, fmt.Errorf("read Secret %s: %w", key.SecretName(k), err)
	}
	if err != nil {
		secret = nil
	}
	v := key.Decide(k, secret)
	if v.Generate {
		if c := meta.FindStatusCondition(k.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonApplyFailed {
			message := fmt.Sprintf("The key of SFTPKey %q cannot be stored. %s", name, c.Message)
			return key.Material{}, &conditionProblem{v1alpha1.ReasonHostKeyNotFound, message}, nil
		}
		return key.Material{}, &conditionProblem{v1alpha1.ReasonPending, fmt.Sprintf("The key of SFTPKey %q is being made", name)}, nil
	}
	if !conditions.IsTrue([]metav1.Condition{v.Condition}, v1alpha1.ConditionReady) {
		reason := v1alpha1.ReasonInvalidHostKey
		if v.Condition.Reason == v1alpha1.ReasonSecretNotFound {
			reason = v1alpha1.ReasonHostKeyNotFound
		}
		return key.Material{}, &conditionProblem{reason, s.withKept(fmt.Sprintf("SFTPKey %q: %s", name, v.Condition.Message))}, nil
	}
	if err := s.policy.CheckHostKey(v.Material.Public); err != nil {
		return key.Material{}, &conditionProblem{v1alpha1.ReasonInvalidHostKey, s.withKept(fmt.Sprintf("SFTPKey %q: %v", name, err))}, nil
	}
	return v.Material, nil, nil
}

// withKept adds that the pods are not affected, and where the key still is.
func (s *scope) withKept(message string) string {
	if len(s.memory.hostKeys) == 0 {
		return message
	}
	return fmt.Sprintf("%s. The pods go on with the host keys that they have; copies of the private keys are in Secret %q",
		message, render.ConfigSecretName(s.listener))
}
