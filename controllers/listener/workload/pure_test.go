package workload

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/deadline"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
)

// The requested size is never less than what a claim requests or has.
func TestSizeOf(t *testing.T) {
	claim := func(request, capacity string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{}
		list := func(size string) corev1.ResourceList {
			if size == "" {
				return nil
			}
			return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
		}
		c.Spec.Resources.Requests, c.Status.Capacity = list(request), list(capacity)
		return c
	}
	for name, c := range map[string]struct {
		spec string
		live *corev1.PersistentVolumeClaim
		want string
	}{
		"no claim yet":            {"1Gi", nil, "1Gi"},
		"equal":                   {"1Gi", claim("1Gi", "1Gi"), "1Gi"},
		"equal in another unit":   {"1Gi", claim("1024Mi", ""), "1Gi"},
		"the spec is larger":      {"3Gi", claim("1Gi", "2Gi"), "3Gi"},
		"the request is larger":   {"1Gi", claim("5Gi", "1Gi"), "5Gi"},
		"the capacity is larger":  {"1Gi", claim("1Gi", "5Gi"), "5Gi"},
		"both, the capacity more": {"1Gi", claim("2Gi", "5Gi"), "5Gi"},
		"both, the request more":  {"1Gi", claim("6Gi", "5Gi"), "6Gi"},
		"not bound yet":           {"1Gi", claim("1Gi", ""), "1Gi"},
		"without a request":       {"1Gi", claim("", "500Mi"), "1Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sizeOf(claim(c.spec, ""), c.live); got.Cmp(resource.MustParse(c.want)) != 0 {
				t.Errorf("%s, want %s", got.String(), c.want)
			}
		})
	}
}

func TestHeldBy(t *testing.T) {
	on := []volumes.Volume{{Name: "home", Claim: "partners-home", FromTemplate: true}, {Name: "other", Claim: "files"}}
	for name, c := range map[string]struct {
		volumes volumes.Result
		missing map[string]bool
		want    string
	}{
		"nothing":               {volumes: volumes.Result{Volumes: on, Mountable: true}},
		"another missing claim": {volumes: volumes.Result{Volumes: on, Mountable: true}, missing: map[string]bool{"partners-gone": true}},
		"a missing claim": {
			volumes: volumes.Result{Volumes: on, Mountable: true}, missing: map[string]bool{"partners-home": true},
			want: `PersistentVolumeClaim "partners-home" of volume "home" could not be created`,
		},
		"a problem":     {volumes: volumes.Result{Volumes: on, Problems: []volumes.Problem{{Message: "first"}, {Message: "second"}}}, want: "first"},
		"an error":      {volumes: volumes.Result{Volumes: on, Err: errors.New("away")}, want: "the claims of its volumes cannot be read"},
		"not looked at": {want: "its volumes cannot be mounted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{in: Input{Volumes: c.volumes}, missing: c.missing}
			if got := r.held(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	condition := func(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) appsv1.DeploymentCondition {
		return appsv1.DeploymentCondition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	done := condition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable", "")
	quota := condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", "exceeded quota: pods")
	for name, c := range map[string]struct {
		generation int64
		conditions []appsv1.DeploymentCondition
		want       Rollout
	}{
		"complete":         {conditions: []appsv1.DeploymentCondition{done}, want: Rollout{State: Complete}},
		"not seen yet":     {generation: 2, conditions: []appsv1.DeploymentCondition{done}, want: Rollout{State: Rolling}},
		"no condition":     {want: Rollout{State: Rolling}},
		"progressing":      {conditions: []appsv1.DeploymentCondition{condition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "ReplicaSetUpdated", "")}, want: Rollout{State: Rolling}},
		"stuck":            {conditions: []appsv1.DeploymentCondition{condition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", "")}, want: Rollout{State: Stuck}},
		"pods are refused": {conditions: []appsv1.DeploymentCondition{done, quota}, want: Rollout{State: Complete, PodsRefused: "exceeded quota: pods"}},
		"pods were refused": {
			conditions: []appsv1.DeploymentCondition{condition(appsv1.DeploymentReplicaFailure, corev1.ConditionFalse, "", "old"), done}, want: Rollout{State: Complete},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: max(c.generation, 1)}}
			d.Status.ObservedGeneration, d.Status.Conditions = 1, c.conditions
			if got := judge(d); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// The outcome of each kind of error for an object.
func TestNote(t *testing.T) {
	ending := apierrors.NewForbidden(corev1.Resource("services"), "s", errors.New("it is being terminated"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, c := range map[string]struct {
		err    error
		want   []Refusal
		failed bool
		retry  time.Duration
		ending bool
	}{
		"a conflict": {
			err:  &apply.ConflictError{Kind: "Service", Namespace: "ns", Name: "s", Problem: "exists"},
			want: []Refusal{{Object: "o", Reason: v1alpha1.ReasonResourceConflict, Message: `Service "s" in namespace "ns" exists`}}, retry: apply.RetryRefused,
		},
		"a refusal": {
			err:   apierrors.NewForbidden(corev1.Resource("services"), "s", errors.New("exceeded quota: x")),
			retry: apply.RetryRefused,
			want: []Refusal{{Object: "o", Reason: v1alpha1.ReasonApplyFailed, Message: `The API server refused: services "s" is forbidden: exceeded quota: x; ` +
				`raise the ResourceQuota or free some of it; the operator then retries`}},
		},
		"a webhook's refusal": {
			err: apierrors.NewBadRequest("denied by policy"), retry: apply.RetryRefused,
			want: []Refusal{{Object: "o", Reason: v1alpha1.ReasonApplyFailed, Message: "The API server refused: denied by policy"}},
		},
		"no answer": {
			err: &deadline.Error{After: time.Second}, failed: true,
			want: []Refusal{{Object: "o", Reason: v1alpha1.ReasonApplyFailed, Temporary: true, Message: "o: the API server did not answer within 1s; the operator retries"}},
		},
		"an error of the server": {
			err: apierrors.NewInternalError(errors.New("etcd")), failed: true,
			want: []Refusal{{Object: "o", Reason: v1alpha1.ReasonApplyFailed, Temporary: true, Message: "o: Internal error occurred: etcd; the operator retries"}},
		},
		"a conflict of versions": {
			err: apierrors.NewConflict(corev1.Resource("services"), "s", errors.New("changed")), failed: true,
			want: []Refusal{{
				Object: "o", Reason: v1alpha1.ReasonApplyFailed, Temporary: true,
				Message: `o: Operation cannot be fulfilled on services "s": changed; the operator retries`,
			}},
		},
		"the end of the namespace": {err: ending, ending: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{}
			r.note("o", c.err)
			if !reflect.DeepEqual(r.out.Refusals, c.want) {
				t.Errorf("refusals\n\t%+v\nwant\n\t%+v", r.out.Refusals, c.want)
			}
			if (r.out.Err != nil) != c.failed || r.out.Retry != c.retry || r.out.NamespaceEnding != c.ending {
				t.Errorf("error %v, retry %s, ending %v", r.out.Err, r.out.Retry, r.out.NamespaceEnding)
			}
		})
	}
}

// A panic refuses that object only, and the text of the panic is only in the log.
func TestPanicIsContained(t *testing.T) {
	r := &run{}
	if r.step(t.Context(), "Service", "s", func(context.Context) error { panic("TOPSECRET") }) {
		t.Error("it counts as done")
	}
	ok := r.step(t.Context(), "Deployment", "d", func(context.Context) error { return nil })
	want := []Refusal{{
		Object: `Service "s"`, Reason: v1alpha1.ReasonApplyFailed, Temporary: true,
		Message: `Service "s": internal error of the operator in this step; its log has the details; the operator retries`,
	}}
	if !ok || !reflect.DeepEqual(r.out.Refusals, want) || r.out.Err == nil {
		t.Errorf("refusals\n\t%+v\nwant\n\t%+v", r.out.Refusals, want)
	}
}

func TestReplicasAreThoseThatThereAre(t *testing.T) {
	if got := (Result{}).Replicas(); got != nil {
		t.Errorf("%d replicas of an unknown Deployment", *got)
	}
	d := &appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 3, ReadyReplicas: 1}}
	if got := (Result{Deployment: d}).Replicas(); got == nil || *got != 3 {
		t.Errorf("%v replicas, want all 3", got)
	}
}
