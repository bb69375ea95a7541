package command

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// deployed creates a listener with a claim, and its Deployment.
func deployed(t *testing.T, ns string) {
	t.Helper()
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{
			{Name: "data", PersistentVolumeClaim: &v1alpha1.ExistingClaim{ClaimName: "files"}},
		}},
	}
	create(t, l)
	create(t, render.Deployment(l, "sftpd:1", false))
}

// playJobs ends each Job of a namespace as a controller and a kubelet would, with a log, until the test ends.
func playJobs(t *testing.T, k *kubelet, ns, node, log string, outcome batchv1.JobConditionType) (made func() []batchv1.Job) {
	t.Helper()
	var jobs []batchv1.Job
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	seen := map[types.UID]bool{}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			var list batchv1.JobList
			if api.List(ctx, &list, client.InNamespace(ns)) != nil {
				continue
			}
			for i := range list.Items {
				if j := &list.Items[i]; !seen[j.UID] {
					seen[j.UID] = true
					jobs = append(jobs, *j.DeepCopy())
					endJob(ctx, t, k, j, node, log, outcome)
				}
			}
		}
	}()
	return func() []batchv1.Job { stop(); <-done; return jobs }
}

func endJob(ctx context.Context, t *testing.T, k *kubelet, j *batchv1.Job, node, log string, outcome batchv1.JobConditionType) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: j.Name + "-x", Labels: map[string]string{batchv1.JobNameLabel: j.Name}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "purge", Image: "sftpd:1"}}},
	}
	k.put("/containerLogs/"+j.Namespace+"/"+pod.Name+"/purge", log)
	if err := api.Create(ctx, pod); err != nil {
		t.Error(err)
		return
	}
	now := metav1.Now()
	j.Status.StartTime = &now
	j.Status.Conditions = []batchv1.JobCondition{{Type: outcome, Status: corev1.ConditionTrue, Message: "the played outcome"}}
	if outcome == batchv1.JobComplete {
		j.Status.CompletionTime = &now
		j.Status.Conditions = append([]batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}}, j.Status.Conditions...)
	} else {
		j.Status.Conditions = append([]batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue}}, j.Status.Conditions...)
	}
	if err := api.Status().Update(ctx, j); err != nil {
		t.Error(err)
	}
}

// Found and removed directories are reported; the Job is deleted.
func TestPurge(t *testing.T) {
	ns := namespace(t, "purge")
	deployed(t, ns)
	k := startKubelet(t, "purge-node")
	const counted = `{"volume":"data","exists":true,"files":12,"directories":3,"bytes":4711,"removed":false,"receipts":7}`
	jobs := playJobs(t, k, ns, "purge-node", counted+"\n", batchv1.JobComplete)
	r := plug(t, "purge", "acme", "-n", ns, "--listener", "partners")
	if r.code != 0 || !strings.Contains(r.out, "4711") || !strings.Contains(r.err, "Nothing was removed. --yes permanently removes purge/acme") ||
		!strings.Contains(r.err, "7 receipts of uploads are kept, for 90 days at most; --yes --receipts") {
		t.Errorf("%+v", r)
	}
	made := jobs()
	if len(made) != 1 || strings.Contains(strings.Join(made[0].Spec.Template.Spec.Containers[0].Args, " "), "-remove") {
		t.Fatalf("%+v", made)
	}
	jobs = playJobs(t, k, ns, "purge-node", strings.Replace(counted, "false", "true", 1)+"\n", batchv1.JobComplete)
	r = plug(t, "purge", "acme", "-n", ns, "--listener", "partners", "--yes", "-o", "json")
	if r.code != 0 || !strings.Contains(r.out, `"removed": true`) {
		t.Errorf("%+v", r)
	}
	if made = jobs(); !strings.HasSuffix(strings.Join(made[len(made)-1].Spec.Template.Spec.Containers[0].Args, " "), "-listener purge/partners -remove -volume data="+render.PodVolumePath("data")) {
		t.Fatalf("%+v", made)
	}
	removed := `{"volume":"data","exists":true,"files":12,"directories":3,"bytes":4711,"removed":true,"receipts":7,"receiptsRemoved":true}`
	jobs = playJobs(t, k, ns, "purge-node", removed+"\n", batchv1.JobComplete)
	r = plug(t, "purge", "acme", "-n", ns, "--listener", "partners", "--yes", "--receipts")
	if r.code != 0 || !strings.Contains(r.out, "removed; receipts removed") || r.err != "" {
		t.Errorf("%+v", r)
	}
	if made = jobs(); !slices.Contains(made[len(made)-1].Spec.Template.Spec.Containers[0].Args, "-remove-receipts") {
		t.Fatalf("%+v", made)
	}
	var left batchv1.JobList
	if err := api.List(t.Context(), &left, client.InNamespace(ns)); err != nil || len(left.Items) != 0 {
		t.Errorf("%d Jobs are left, %v", len(left.Items), err)
	}
}

// A Job that fails, or does not end, gives an error with the reason. Its output cannot control the terminal.
func TestPurgeFails(t *testing.T) {
	ns := namespace(t, "purge-fails")
	deployed(t, ns)
	r := plug(t, "purge", "acme", "-n", ns, "--listener", "partners", "--timeout", "1s")
	if r.code != 1 || !strings.Contains(r.err, "did not finish in time: it has no pod") {
		t.Errorf("%+v", r)
	}
	k := startKubelet(t, "purge-fails-node")
	log := `{"volume":"data","exists":true,"files":1,"directories":1,"bytes":1,"removed":false,"error":"permission denied"}` + "\nsftpd: \x1b[2J\n"
	playJobs(t, k, ns, "purge-fails-node", log, batchv1.JobFailed)
	r = plug(t, "purge", "acme", "-n", ns, "--listener", "partners", "--yes")
	if r.code != 1 || !strings.Contains(r.out, "permission denied") || !strings.Contains(r.err, "failed: the played outcome") || strings.Contains(r.err, "\x1b") {
		t.Errorf("%+v", r)
	}
}

// Nothing is done while a user has the directory, or while that is unknown.
func TestPurgeRefuses(t *testing.T) {
	ns := namespace(t, "purge-refuses")
	deployed(t, ns)
	create(t, &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "acme"}, Spec: v1alpha1.SFTPUserSpec{
		ListenerRef: v1alpha1.ListenerReference{Name: "partners"},
	}})
	reader := account(t, ns, "purge-refuses", reads("sftplisteners", "sftpusers"),
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}})
	for args, want := range map[string]string{
		"purge acme --listener partners":                     "SFTPUser purge-refuses/acme exists",
		"purge globex --listener nowhere":                    "SFTPListener purge-refuses/nowhere",
		"purge globex":                                       "--listener must be given",
		"purge globex --listener partners --kubeconfig=READ": "all namespaces have to be searched",
	} {
		r := line(t, "", append(strings.Fields(strings.Replace(args, "--kubeconfig=READ", "", 1)), "-n", ns, "--kubeconfig", map[bool]string{true: reader, false: administrator}[strings.Contains(args, "READ")])...)
		if r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	var jobs batchv1.JobList
	if err := api.List(t.Context(), &jobs, client.InNamespace(ns)); err != nil || len(jobs.Items) != 0 {
		t.Errorf("%d Jobs, %v", len(jobs.Items), err)
	}
}
