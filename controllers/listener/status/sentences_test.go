package status

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// sentence returns a condition as kubectl describe shows it, "" if there is none.
func sentence(list []metav1.Condition, conditionType string) string {
	for _, c := range list {
		if c.Type == "" || c.Status == "" {
			return fmt.Sprintf("a condition of no type or status: %+v", c)
		}
	}
	c := meta.FindStatusCondition(list, conditionType)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

// withVolume adds a volume with what a pod reports of it.
func withVolume(problem config.VolumeProblem) func(*Input) {
	return func(in *Input) {
		in.Acks.Volumes[0].Problem, in.Acks.Volumes[0].UID = problem, 1000
	}
}

func pendingFor(reason v1alpha1.PendingRestartReason, why string) func(*Input) {
	return func(in *Input) {
		in.Workload.Rollout = workload.Rollout{
			State: workload.Held, Why: why, Busy: 2, Pending: &workload.Pending{Reason: reason, Changes: []string{"image", "maxUsers"}, Since: noon},
		}
	}
}

// ended gives the listener an expired crypto policy.
func ended(in *Input) {
	in.Listener.Spec.CryptoPolicy = v1alpha1.CryptoLegacy2026
	in.Listener.Spec.CryptoPolicyExpirationTime = new(metav1.NewTime(noon.Add(-time.Hour)))
	in.Policy = render.PolicyAt(in.Listener, noon)
}

// Each row has one finding, and the complete text of one condition for it.
func TestSentences(t *testing.T) {
	problem := func(reason, message string) *conditions.Problem {
		return &conditions.Problem{Reason: reason, Message: message}
	}
	for _, tc := range []struct {
		change func(*Input)
		of     string
		want   string
	}{
		{func(*Input) {}, "Accepted", "True Accepted: The operator acts on the spec"},
		{func(*Input) {}, "ResolvedRefs", "True ResolvedRefs: Host keys and claims are usable"},
		{func(*Input) {}, "Programmed", "True Programmed: All 2 ready pods have loaded the configuration"},
		{func(*Input) {}, "ObjectsApplied", "True ObjectsApplied: All objects match the listener's spec"},
		{func(*Input) {}, "RolledOut", "True RolledOut: All pods run the current template"},
		{func(*Input) {}, "VolumesWritable", "True VolumesWritable: All volumes that logins may write to are writable"},
		{func(*Input) {}, "Ready", "True Ready: Clients can log in"},

		{ended, "Accepted", "True CryptoPolicyExpired: cryptoPolicy Legacy2026 ended at 2026-11-28T11:00:00Z, and Modern2026 is offered instead; set spec.cryptoPolicy to that, or a later spec.cryptoPolicyExpirationTime"},
		{func(in *Input) {
			in.Volumes.Problems = []volumes.Problem{{Reason: "VolumeClaimNotFound", Message: "no claim"}, {Reason: "VolumeNotShareable", Message: "one node"}}
		}, "Accepted", "False VolumeNotShareable: one node"},

		{func(in *Input) {
			in.Volumes.Problems = []volumes.Problem{{Reason: "VolumeNotShareable", Message: "one node"}, {Reason: "VolumeClaimNotFound", Message: "no claim"}, {Reason: "VolumeClaimNotFound", Message: "nor this"}}
		}, "ResolvedRefs", "False VolumeClaimNotFound: no claim; nor this"},
		{func(in *Input) {
			in.Access.Problems = []conditions.Problem{*problem("InvalidUserCA", "a CA"), *problem("SecretNotFound", "a list")}
			in.HostKeys.Problem, in.HostKeys.CertificateProblem = problem("HostKeyNotFound", "a key"), problem("InvalidCertificate", "a certificate")
		}, "ResolvedRefs", "False InvalidUserCA: a CA; a list; a key; a certificate"},
		{func(in *Input) { in.HostKeys.CertificateProblem = problem("InvalidCertificate", "a certificate") }, "ResolvedRefs", "False InvalidCertificate: a certificate"},
		{func(in *Input) {
			in.Access.Unreadable = []string{`Secret "cas" cannot be read: 503`}
			in.HostKeysErr, in.Volumes.Err = errors.New("504"), errors.New("505")
		}, "ResolvedRefs", `Unknown SecretUnreadable: Secret "cas" cannot be read: 503; The host keys cannot be read: 504; The volumes' claims cannot be read: 505. What was read before stays in effect; the operator retries`},
		{func(in *Input) { in.Access = nil }, "ResolvedRefs", ""},
		{func(in *Input) { in.HostKeys = nil }, "ResolvedRefs", ""},

		{func(in *Input) { in.Access.Delivered.Err = errors.New("503") }, "Programmed", "False ApplyPending: The configuration cannot be written: 503. The operator retries"},
		{func(in *Input) { in.Access.Err = errors.New("503") }, "Programmed", "False InternalError: The configuration cannot be compiled: 503. The operator retries"},
		{func(in *Input) {
			in.Access.Blocked, in.Access.Delivered.Version = problem("Pending", "no host key yet"), nil
		}, "Programmed", "False ConfigPending: no host key yet"},
		{func(in *Input) { in.Acks, in.Access.Delivered.Version = nil, nil }, "Programmed", ""},
		{func(in *Input) { in.Acks, in.Access.Delivered.Version = nil, nil }, "Ready", "Unknown Pending: "},
		// The previously delivered configuration stays, and is the one that pods are expected to load.
		{func(in *Input) { in.Access.Blocked = problem("Pending", "no host key yet") }, "Programmed", "True Programmed: All 2 ready pods have loaded the configuration"},
		{func(in *Input) { in.Acks = &ack.Result{Digest: "d"} }, "Programmed", "False ConfigPending: No pod is ready to load the configuration"},
		{func(in *Input) { in.Acks.Acknowledged, in.Acks.Behind = 1, []string{"a"} }, "Programmed", "False ConfigPending: 1 of 2 ready pods have loaded the configuration"},
		{func(in *Input) {
			in.Acks.Acknowledged, in.Acks.Behind = 0, []string{"a", "b", "c"}
			late := noon.Add(-time.Minute).In(time.FixedZone("CET", 3600))
			in.Acks.Late = map[string]time.Time{"a": noon.Add(-time.Second), "c": late}
		}, "Programmed", "False ConfigPending: 0 of 2 ready pods have loaded the configuration; pod c has not since 2026-11-28T11:59:00Z. Its kubelet may not be refreshing its volumes: kubectl -n ns describe pod c, or delete it"},
		{func(in *Input) { in.Workload.Service, in.Workload.Err = nil, errors.New("503") }, "Programmed", "False AddressNotAssigned: The Service cannot be read"},
		{func(in *Input) { in.Workload.Service = nil }, "Programmed", "False AddressNotAssigned: The Service does not exist yet"},
		{func(in *Input) { in.Workload.Service.Spec.Type = corev1.ServiceTypeLoadBalancer }, "Programmed", "False AddressNotAssigned: The load balancer has not assigned an address yet"},
		{func(in *Input) {
			in.Workload.Service.Spec.Type = corev1.ServiceTypeLoadBalancer
			in.Workload.Service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
		}, "Programmed", "True Programmed: All 2 ready pods have loaded the configuration"},

		{func(in *Input) { in.HostKeys.Refusal = errors.New("503") }, "ObjectsApplied", "False ApplyFailed: 503"},
		{func(in *Input) {
			in.HostKeys.Refusal = &apply.ConflictError{Kind: "SFTPKey", Namespace: "ns", Name: "host", Problem: "exists and is not the operator's"}
		}, "ObjectsApplied", `False ResourceConflict: SFTPKey "host" in namespace "ns" exists and is not the operator's`},
		{func(in *Input) {
			in.Workload.SmallerClaims = []workload.SmallerClaim{{Claim: "c", Actual: "2Gi", Wanted: "1Gi", Volume: "data"}, {Claim: "e", Actual: "4Gi", Wanted: "3Gi", Volume: "more"}}
		}, "ObjectsApplied", `True ObjectsApplied: All objects match the listener's spec; claim "c" has 2Gi, more than the 1Gi of volume "data", and cannot be made smaller; claim "e" has 4Gi, more than the 3Gi of volume "more", and cannot be made smaller`},

		{func(in *Input) { in.Workload.Rollout = workload.Rollout{State: workload.Starting} }, "RolledOut", "False RollingOut: The pods are being started"},
		{func(in *Input) { in.Workload.Rollout = workload.Rollout{State: workload.Rolling} }, "RolledOut", "False RollingOut: The pods are being replaced"},
		{func(in *Input) { in.Workload.Rollout = workload.Rollout{State: workload.Held} }, "RolledOut", ""},
		{func(in *Input) {
			in.Workload.Rollout = workload.Rollout{State: workload.Rolling, Changes: []string{"image", "maxUsers"}}
		}, "RolledOut", "False RollingOut: The pods are being replaced because of a change to image, maxUsers"},
		{func(in *Input) {
			in.Workload.Rollout = workload.Rollout{State: workload.Rolling, Changes: []string{"image"}, Recreate: true}
		}, "RolledOut", "False RollingOut: The pods are being replaced because of a change to image; the old one ends before the new one starts, because only one node can mount a volume"},
		{pendingFor("RolloutPaused", "x"), "RolledOut", "False RolloutPaused: A change to image, maxUsers waits. infrastructure.rollout is Paused; set it to Automatic to replace the pods"},
		{pendingFor("RolloutQueued", "x"), "RolledOut", "False RolloutQueued: A change to image, maxUsers waits. It begins automatically: 2 of at most 2 concurrent rollouts are running"},
		{pendingFor("RolloutBlocked", "claim c does not exist"), "RolledOut", "False RolloutBlocked: A change to image, maxUsers waits. claim c does not exist"},
		{pendingFor("RolloutBlocked", ""), "RolledOut", "False RolloutBlocked: A change to image, maxUsers waits. The listener's other conditions must be true first"},

		{withVolume(config.VolumeReadOnly), "VolumesWritable", `False VolumeReadOnly: Volume "data" is read-only in pod a; check its PersistentVolume's mount options, and the node's log for file system errors`},
		{withVolume(config.VolumeFull), "VolumesWritable", `False VolumeFull: Volume "data" is full in pod a; remove files, or raise the claim's size or its quota`},
		{withVolume(config.VolumePermissionDenied), "VolumesWritable", `False VolumePermissionDenied: Volume "data" is not writable by UID 1000 and group 65532: permission denied in pod a; give group 65532 write permission on the volume's directory`},
		{withVolume(config.VolumeNotMounted), "VolumesWritable", `False VolumeNotMounted: Volume "data" is not mounted in pod a; a restart of the pod mounts it; see the condition RolledOut`},
		{withVolume(config.VolumeSilent), "VolumesWritable", `False VolumeNoAnswer: Volume "data" does not answer in pod a; check whether the server of its PersistentVolume can be reached`},
		{withVolume(config.VolumeFailed), "VolumesWritable", `False VolumeFailed: Volume "data" cannot be written in pod a; the pod's log says why`},
		{withVolume("of a later version"), "VolumesWritable", `False VolumeFailed: Volume "data" cannot be written in pod a; the pod's log says why`},
		// Of several volumes, the first one in the spec that any pod reports counts; one that is no longer in the spec does not.
		{func(in *Input) {
			of := func(pod, name string, problem config.VolumeProblem) ack.Volume {
				return ack.Volume{Pod: pod, VolumeStatus: config.VolumeStatus{Name: name, Problem: problem}}
			}
			in.Listener.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "well"}, {Name: "data"}, {Name: "more"}}
			in.Acks.Volumes = []ack.Volume{of("a", "gone", config.VolumeFull), of("a", "more", config.VolumeFailed), of("a", "well", ""), of("a", "data", ""), of("b", "data", config.VolumeFull)}
		}, "VolumesWritable", `False VolumeFull: Volume "data" is full in pod b; remove files, or raise the claim's size or its quota`},

		{func(in *Input) { in.Acks = &ack.Result{Digest: "d"} }, "Ready", "False PodsUnavailable: No pod is ready; kubectl -n ns describe pods -l sftp-operator.io/listener=partners says why"},
		{func(in *Input) {
			in.Acks, in.Workload.Rollout.PodsRefused = &ack.Result{Digest: "d"}, "exceeded quota"
		}, "Ready", "False PodsUnavailable: Pods cannot be created: exceeded quota"},
		{func(in *Input) { in.Listener.Spec.Replicas = new(int32(0)) }, "Inactive", "True ScaledToZero: spec.replicas is 0; raise it to serve clients"},
		{func(in *Input) { in.HostKeys = nil }, "Ready", "Unknown Pending: "},
		{func(in *Input) { in.Acks = nil }, "Ready", "Unknown Pending: "},
		{func(in *Input) { in.Acks.Refused = "pod a: damaged" }, "Ready", "False ConfigRejected: A pod rejected the configuration and keeps the previous one: pod a: damaged"},
		// Pods are not the reason if the configuration was not written.
		{func(in *Input) {
			in.Acks, in.Access.Delivered.Version, in.Access.Blocked = &ack.Result{}, nil, problem("Pending", "a list is missing")
		}, "Ready", "False ConfigPending: a list is missing"},
		{func(in *Input) {
			in.Acks, in.Access.Delivered.Version, in.Access.Blocked = nil, nil, problem("Pending", "a list is missing")
		}, "Ready", "False ConfigPending: a list is missing"},
		{func(in *Input) { in.Acks, in.Access.Err = &ack.Result{Digest: "d"}, errors.New("503") }, "Ready", "False InternalError: The configuration cannot be compiled: 503. The operator retries"},
	} {
		in := wellInput()
		tc.change(&in)
		if got := sentence(Build(in).Conditions, tc.of); got != tc.want {
			t.Errorf("%s is\n%q, want\n%q", tc.of, got, tc.want)
		}
	}
}

// Every condition has a type, whichever step was not reached.
func TestNothingIsReached(t *testing.T) {
	l := wellInput().Listener
	st := Build(Input{Listener: l, Policy: render.PolicyAt(l, noon), Now: noon})
	got := lines(st)
	want := map[string]string{"Accepted": "True/Accepted", "Ready": "Unknown/Pending", "Reconciling": "True/Pending", "ObjectsApplied": "True/ObjectsApplied"}
	if !reflect.DeepEqual(got, want) || st.AttachedUsers != nil || st.HostKeys != nil || st.ConfigDigest != "" || st.Replicas != nil {
		t.Errorf("%v, %+v", got, st)
	}
}

// before returns a listener's status with one condition.
func before(conditionType, reason, message string) func(*Input) {
	return func(in *Input) {
		st := Build(*in)
		conditions.Set(&st.Conditions, in.Listener.Generation, conditions.False(conditionType, reason, message))
		in.Listener.Status = st
	}
}

// What cannot be determined now keeps its previous value, if it had one.
func TestWhatIsKept(t *testing.T) {
	notShareable := before("Accepted", "VolumeNotShareable", "one node")
	serviceUnread := func(in *Input) { in.Workload.Service, in.Workload.Err = nil, errors.New("503") }
	for name, tc := range map[string]struct {
		before, change func(*Input)
		of, want       string
	}{
		"claims cannot be read":                {notShareable, func(in *Input) { in.Volumes.Err = errors.New("503") }, "Accepted", "False VolumeNotShareable: one node"},
		"claims are shareable again":           {notShareable, func(*Input) {}, "Accepted", "True Accepted: The operator acts on the spec"},
		"claims cannot be read, it was paused": {before("Accepted", "Paused", "x"), func(in *Input) { in.Volumes.Err = errors.New("503") }, "Accepted", "True Accepted: The operator acts on the spec"},
		"claims cannot be read, it is new":     {func(*Input) {}, func(in *Input) { in.Volumes.Err = errors.New("503") }, "Accepted", "True Accepted: The operator acts on the spec"},
		"the Service cannot be read":           {before("Programmed", "ConfigPending", "1 of 2"), serviceUnread, "Programmed", "False ConfigPending: 1 of 2"},
		"nor before":                           {before("Programmed", "Pending", "x"), serviceUnread, "Programmed", "False AddressNotAssigned: The Service cannot be read"},
		"pods load it": {before("Programmed", "AddressNotAssigned", "x"), func(in *Input) {
			in.Settling, in.Acks.Acknowledged = true, 1
		}, "Programmed", "False AddressNotAssigned: x"},
		"pods have loaded it":    {before("Programmed", "ConfigPending", "x"), func(in *Input) { in.Settling = true }, "Programmed", "True Programmed: All 2 ready pods have loaded the configuration"},
		"pods load it, at first": {func(*Input) {}, func(in *Input) { in.Settling, in.Acks.Acknowledged = true, 1 }, "Programmed", "False ConfigPending: 1 of 2 ready pods have loaded the configuration"},
		"unknown before, and not known now": {func(in *Input) {
			st := Build(*in)
			conditions.Set(&st.Conditions, 3, conditions.Unknown("Programmed", "Pending", "the first pod starts"))
			in.Listener.Status = st
		}, func(in *Input) { in.Acks = nil }, "Ready", "Unknown Pending: the first pod starts"},
		"not reached, and unknown for another reason": {func(in *Input) {
			st := Build(*in)
			conditions.Set(&st.Conditions, 3, conditions.Unknown("Programmed", "PodUnreachable", "timeout"))
			in.Listener.Status = st
		}, func(in *Input) { in.Acks = nil }, "Ready", "False PodUnreachable: timeout"},
		"no pods, and the configuration is another one": {before("Programmed", "ConfigRejected", "damaged"), func(in *Input) {
			in.Settling, in.Acks = true, &ack.Result{Digest: "d"}
		}, "Ready", "False ConfigRejected: damaged"},
	} {
		in := wellInput()
		tc.before(&in)
		tc.change(&in)
		if got := sentence(Build(in).Conditions, tc.of); got != tc.want {
			t.Errorf("%s: %s is\n%q, want\n%q", name, tc.of, got, tc.want)
		}
	}
}

// Without a login that may write, pods report nothing about volumes. An existing condition then becomes true once pods have
// reported.
func TestNoLoginWrites(t *testing.T) {
	login := func(accepted bool, home v1alpha1.Access, mounts ...v1alpha1.Access) *compile.User {
		u := &v1alpha1.SFTPUser{}
		u.Spec.HomeDirectory.Access = home
		for _, a := range mounts {
			u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Directory: v1alpha1.Directory{Access: a}})
		}
		reason := v1alpha1.ReasonAccepted
		if !accepted {
			reason = v1alpha1.ReasonSuspended
		}
		return &compile.User{Decision: attach.Decision{User: u, Reason: reason}}
	}
	const read, write = v1alpha1.AccessReadOnly, v1alpha1.AccessWriteOnly
	const full, nobody = "False VolumeFull: full", "True VolumesWritable: No login may write to a volume"
	for name, tc := range map[string]struct {
		users  []*compile.User
		change func(*Input)
		want   string
	}{
		"no users":                   {nil, func(*Input) {}, nobody},
		"readers":                    {[]*compile.User{login(true, read), login(true, read, read, read)}, func(*Input) {}, nobody},
		"writers that are out":       {[]*compile.User{login(false, write, write), login(true, read)}, func(*Input) {}, nobody},
		"a home is written":          {[]*compile.User{login(true, read), login(true, write)}, func(*Input) {}, full},
		"by default":                 {[]*compile.User{login(true, "")}, func(*Input) {}, full},
		"a mount is written":         {[]*compile.User{login(true, read, read, write)}, func(*Input) {}, full},
		"pods are behind":            {nil, func(in *Input) { in.Acks.Acknowledged = 1 }, full},
		"pods were asked of another": {nil, func(in *Input) { in.Acks.Digest = "e" }, full},
		"nothing is known":           {nil, func(in *Input) { in.Access = nil }, full},
		"pods were not asked":        {nil, func(in *Input) { in.Acks = nil }, full},
		"there was no condition":     {nil, func(in *Input) { in.Listener.Status = v1alpha1.SFTPListenerStatus{} }, ""},
	} {
		in := wellInput()
		before("VolumesWritable", "VolumeFull", "full")(&in)
		in.Acks.Volumes, in.Access.Users = nil, tc.users
		tc.change(&in)
		if got := sentence(Build(in).Conditions, "VolumesWritable"); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// A generation counts as loaded only when the configuration compiled from it is: until then the observed generation is the
// previous one, or the compiled one for a listener that has none.
func TestGenerationAtFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Input)
		want   [2]int64 // of Programmed, and of the status
	}{
		"all have loaded it":           {func(*Input) {}, [2]int64{3, 3}},
		"compiled from an earlier one": {func(in *Input) { in.Access.Generation = 2 }, [2]int64{2, 2}},
		"compiled from a later one":    {func(in *Input) { in.Access.Generation = 4 }, [2]int64{3, 3}},
		"of a later one, which was read": {func(in *Input) {
			in.Access.Generation = 4
			in.Listener.Status = Build(wellInput())
			in.Listener.Status.Conditions = nil
		}, [2]int64{3, 3}},
		"a pod is behind":       {func(in *Input) { in.Acks.Acknowledged, in.Access.Generation = 1, 2 }, [2]int64{3, 3}},
		"of another digest":     {func(in *Input) { in.Acks.Digest, in.Access.Generation = "e", 9 }, [2]int64{3, 3}},
		"nothing is programmed": {func(in *Input) { in.Access = nil }, [2]int64{0, 3}},
	} {
		in := wellInput()
		tc.change(&in)
		st := Build(in)
		var got [2]int64
		if c := meta.FindStatusCondition(st.Conditions, "Programmed"); c != nil {
			got[0] = c.ObservedGeneration
		}
		if got[1] = st.ObservedGeneration; got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	// A condition that is true for an earlier generation does not combine with a Ready that is false.
	in := wellInput()
	in.Listener.Status = Build(in)
	in.Listener.Generation, in.HostKeys.Problem = 4, &conditions.Problem{Reason: "HostKeyNotFound", Message: "gone"}
	if st := Build(in); st.ObservedGeneration != 4 {
		t.Errorf("not ready, of generation %d", st.ObservedGeneration)
	}
	// Pods were asked for a configuration other than the delivered one.
	in = wellInput()
	in.Acks.Digest = "e"
	if st := Build(in); st.ConfigDigest != "" {
		t.Errorf("digest %q is said to be loaded", st.ConfigDigest)
	}
}

func TestDescription(t *testing.T) {
	in := wellInput()
	in.HostKeys.Status = []v1alpha1.HostKeyStatus{{Fingerprint: "f", PublicKey: "ssh-ed25519 AAAA"}, {Fingerprint: "g", PublicKey: "ssh-ed25519 BBBB"}}
	in.Users.Proved["g"] = 6
	in.Workload.Deployment = &appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 4}}
	ended(&in)
	st := Build(in)
	if *st.HostKeys[0].ProvedUsers != 5 || *st.HostKeys[1].ProvedUsers != 6 || *st.Replicas != 4 || st.CryptoPolicy != v1alpha1.CryptoModern2026 || st.CryptoPolicyExpirationTime != nil {
		t.Errorf("%+v", st)
	}
	in.Listener.Spec.CryptoPolicyExpirationTime = new(metav1.NewTime(noon.Add(time.Hour)))
	in.Policy = render.PolicyAt(in.Listener, noon)
	if st := Build(in); st.CryptoPolicy != v1alpha1.CryptoLegacy2026 || !st.CryptoPolicyExpirationTime.Time.Equal(noon.Add(time.Hour)) {
		t.Errorf("%s until %v", st.CryptoPolicy, st.CryptoPolicyExpirationTime)
	}
	// Keys that are kept because of a problem stay in the status too.
	in.Listener.Status = Build(in)
	in.HostKeys = &hostkeys.Result{Problem: &conditions.Problem{Reason: "HostKeyNotFound", Message: "gone"}}
	if st := Build(in); len(st.HostKeys) != 2 || len(st.KnownHosts) != 2 {
		t.Errorf("host keys %+v", st.HostKeys)
	}
}

// A pending change reports what it is, why it waits, since when, and which users it will disturb.
func TestPendingRestart(t *testing.T) {
	queued := pendingFor("RolloutQueued", "")
	in := wellInput()
	queued(&in)
	want := v1alpha1.ListenerPendingRestart{Reason: "RolloutQueued", Changes: []string{"image", "maxUsers"}, Since: metav1.NewTime(noon), Pods: new(int32(2))}
	if got := Build(in).PendingRestart; !reflect.DeepEqual(*got, want) {
		t.Errorf("pods that do not say their sessions: %+v", got)
	}
	in.Listener.Status.PendingRestart = &v1alpha1.ListenerPendingRestart{Reason: "RolloutQueued", Since: want.Since, Sessions: new(int32(3))}
	if got := Build(in).PendingRestart; !reflect.DeepEqual(*got, want) {
		t.Errorf("nor now, but before: %+v", got)
	}
	in.Listener.Status.PendingRestart.Sessions, in.Acks.Sessions = nil, new(int32(8))
	want.Sessions = new(int32(8))
	if got := Build(in).PendingRestart; !reflect.DeepEqual(*got, want) {
		t.Errorf("now, and not before: %+v", got)
	}
	in.Acks = nil
	want.Sessions, want.Pods = nil, new(int32(0))
	if got := Build(in).PendingRestart; !reflect.DeepEqual(*got, want) {
		t.Errorf("pods were not asked: %+v", got)
	}
	// The status that was read is not modified.
	in = wellInput()
	in.Listener.Status.PendingRestart = want.DeepCopy()
	in.Workload.Rollout = workload.Rollout{State: workload.Held}
	if got := Build(in).PendingRestart; got.Reason != "RolloutBlocked" || in.Listener.Status.PendingRestart.Reason != "RolloutQueued" {
		t.Errorf("%+v, of %+v", got, in.Listener.Status.PendingRestart)
	}
	for _, state := range []workload.State{workload.Starting, workload.Rolling, workload.Stuck, workload.Complete} {
		in.Workload.Rollout.State = state
		if got := Build(in).PendingRestart; got != nil {
			t.Errorf("%s, and it waits: %+v", state, got)
		}
	}
}

func TestPausedIsOfThisGeneration(t *testing.T) {
	in := wellInput()
	in.Listener.Status = Build(in)
	in.Listener.Generation = 7
	st := Paused(in.Listener, noon)
	for _, c := range st.Conditions {
		if c.ObservedGeneration != 7 {
			t.Errorf("%s is of generation %d", c.Type, c.ObservedGeneration)
		}
	}
	const want = `False Paused: Nothing is changed, and no access is removed, while the annotation sftp-operator.io/paused is "true"; remove it to continue`
	if got := sentence(st.Conditions, "Accepted"); got != want || st.ObservedGeneration != 7 {
		t.Errorf("%q, of generation %d", got, st.ObservedGeneration)
	}
	if in.Listener.Status.Conditions[0].ObservedGeneration != 3 {
		t.Error("the status that was read was changed")
	}
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		change             func(*Input)
		pending, rolledOut string
	}{
		"not compiled": {func(in *Input) { in.Access, in.Workload.Rollout.State = nil, "" }, "The configuration has not been written yet", ""},
		// Values that are counters or differ from try to try are not in users' conditions: each change would be written to all
		// waiting users.
		"behind": {
			func(in *Input) { in.Acks.Acknowledged, in.Workload.Rollout.State = 1, workload.Rolling },
			"Not every ready pod has loaded the configuration", "The pods are being replaced",
		},
		"late": {func(in *Input) {
			in.Acks.Acknowledged, in.Acks.Behind, in.Acks.Late = 1, []string{"b"}, map[string]time.Time{"b": in.Now.Add(-LateAfter)}
			in.Workload.Rollout.State = ""
		}, "Not every ready pod has loaded the configuration; pod b has not since 2026-11-28T11:59:45Z. " +
			"Its kubelet may not be refreshing its volumes: kubectl -n ns describe pod b, or delete it", ""},
		"no pod": {func(in *Input) { in.Acks.Ready, in.Workload.Rollout.State = 0, "" }, "No pod is ready to load the configuration", ""},
		"not written": {
			func(in *Input) { in.Access.Delivered.Err, in.Workload.Rollout.State = errors.New("timeout 17"), "" },
			"The configuration could not be written, and the operator retries; the listener's condition Programmed says why", "",
		},
		"not compiled now": {
			func(in *Input) { in.Access.Err, in.Workload.Rollout.State = errors.New("defect 17"), "" },
			"The configuration could not be written, and the operator retries; the listener's condition Programmed says why", "",
		},
		"not known now": {func(in *Input) {
			before("RolledOut", "RollingOut", "since yesterday")(in)
			in.Workload.Rollout.State = ""
		}, "All 2 ready pods have loaded the configuration", "since yesterday"},
	} {
		in := wellInput()
		tc.change(&in)
		if pending, rolledOut := in.Explain(); pending != tc.pending || rolledOut != tc.rolledOut {
			t.Errorf("%s: %q, %q", name, pending, rolledOut)
		}
	}
}

// Each row is a change to one condition, written "Status/Reason", and the resulting events.
func TestEventsOfConditions(t *testing.T) {
	status := func(list string) (st v1alpha1.SFTPListenerStatus) {
		for text := range strings.FieldsSeq(list) {
			parts := strings.Split(text, "/")
			st.Conditions = append(st.Conditions, metav1.Condition{Type: parts[0], Status: metav1.ConditionStatus(parts[1]), Reason: parts[2], Message: "because " + parts[2]})
		}
		return st
	}
	for _, tc := range []struct{ before, after, want string }{
		{"", "", ""},
		{"", "Accepted/True/CryptoPolicyExpired", "Warning CryptoPolicyExpired"},
		{"Accepted/True/Accepted", "Accepted/True/CryptoPolicyExpired", "Warning CryptoPolicyExpired"},
		{"Accepted/True/CryptoPolicyExpired", "Accepted/True/CryptoPolicyExpired", ""},
		{"Accepted/True/CryptoPolicyExpired", "Accepted/True/Accepted", ""},
		{"Accepted/True/CryptoPolicyExpired", "", ""},
		{"Ready/True/Ready", "", ""},
		{"", "Ready/Unknown/Pending", ""},
		{"Ready/True/Ready", "Ready/Unknown/Pending", ""},
		{"Ready/Unknown/Pending", "Ready/True/Ready", "Normal Ready"},
		{"Ready/True/Ready", "Ready/True/Ready", ""},
		{"Ready/False/AddressNotAssigned", "Ready/False/HostKeyNotFound", "Warning HostKeyNotFound"},
		{"Ready/False/PodUnreachable", "Ready/Unknown/PodUnreachable", "Normal PodUnreachable"},
		{"Ready/True/Ready", "Ready/False/AddressNotAssigned", "Warning AddressNotAssigned"},
		{"Ready/False/HostKeyNotFound", "Ready/False/AddressNotAssigned", "Normal AddressNotAssigned"},
		{"", "Ready/False/AddressNotAssigned", "Normal AddressNotAssigned"},
		{"", "Ready/False/ApplyFailed", "Warning ApplyFailed"},
		{"", "Ready/False/ResourceConflict", "Warning ResourceConflict"},
		{"Ready/True/Ready", "Ready/False/PodsUnavailable", "Warning PodsUnavailable"},
		{"Ready/False/AddressNotAssigned", "Ready/False/PodsUnavailable", "Normal PodsUnavailable"},
		{"Ready/True/Ready", "Inactive/True/ScaledToZero", "Normal ScaledToZero"},
		{"Inactive/True/ScaledToZero", "Inactive/True/ScaledToZero", ""},
		{"Inactive/True/ScaledToZero", "Ready/True/Ready", "Normal Ready"},
		{"Ready/True/Ready", "Ready/False/VolumeNotShareable", "Warning VolumeNotShareable"},
		{"", "VolumesWritable/True/VolumesWritable", ""},
		{"", "VolumesWritable/False/VolumeFull", "Warning VolumeFull"},
		{"VolumesWritable/False/VolumeFull", "VolumesWritable/False/VolumeFull", ""},
		{"VolumesWritable/False/VolumeFull", "VolumesWritable/False/VolumeReadOnly", "Warning VolumeReadOnly"},
		{"VolumesWritable/False/VolumeFull", "VolumesWritable/True/VolumesWritable", "Normal VolumesWritable"},
		{"VolumesWritable/False/VolumeFull", "", ""},
		{"ObjectsApplied/True/ObjectsApplied", "ObjectsApplied/False/Drifted", "Warning Drifted"},
		{"ObjectsApplied/False/Drifted", "ObjectsApplied/True/ObjectsApplied", "Normal ObjectsApplied"},
		{"ObjectsApplied/Unknown/Other", "ObjectsApplied/True/ObjectsApplied", ""},
		{"Ready/True/Ready ObjectsApplied/True/ObjectsApplied", "Ready/False/VolumeNotShareable ObjectsApplied/False/Drifted", "Warning VolumeNotShareable, Warning Drifted"},
	} {
		var got []string
		for _, e := range Events(status(tc.before), status(tc.after)) {
			got = append(got, e.Type+" "+e.Reason)
			if e.Action != "Reconcile" || e.Message != "because "+e.Reason {
				t.Errorf("%q: %+v", tc.after, e)
			}
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%q, then %q: %q, want %q", tc.before, tc.after, got, tc.want)
		}
	}
}
