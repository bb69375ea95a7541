package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/exchange"
	"github.com/sftp-operator/sftp-operator/controllers/listener/hostkeys"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
	"github.com/sftp-operator/sftp-operator/controllers/listener/volumes"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// wellInput is the input for a healthy listener.
func wellInput() Input {
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "partners", Generation: 3}}
	l.Spec.Volumes = []v1alpha1.ListenerVolume{{Name: "data"}}
	return Input{
		Listener: l, Policy: render.PolicyAt(l, noon), Now: noon, MaxRollouts: 2,
		HostKeys: &hostkeys.Result{Keys: []hostkey.Held{}, Status: []v1alpha1.HostKeyStatus{{Fingerprint: "f", PublicKey: "ssh-ed25519 AAAA"}}},
		Access:   &exchange.Access{Generation: 3, Delivered: delivery.Result{Version: &delivery.Version{Digest: "d"}}},
		Workload: workload.Result{
			Service: &corev1.Service{}, Addresses: []v1alpha1.ListenerAddress{{Value: "partners.ns", Port: 22}},
			Rollout: workload.Rollout{State: workload.Complete},
		},
		Acks:  &ack.Result{Digest: "d", Ready: 2, Acknowledged: 2, Volumes: []ack.Volume{{Pod: "a", VolumeStatus: config.VolumeStatus{Name: "data"}}}},
		Users: &outcome.Result{Attached: 7, Proved: map[string]int32{"f": 5}},
	}
}

// lines returns conditions as short lines.
func lines(st v1alpha1.SFTPListenerStatus) map[string]string {
	out := map[string]string{}
	for _, c := range st.Conditions {
		out[c.Type] = fmt.Sprintf("%s/%s", c.Status, c.Reason)
	}
	return out
}

func TestAllIsWell(t *testing.T) {
	st := Build(wellInput())
	for conditionType, want := range map[string]string{
		"Accepted": "True/Accepted", "ResolvedRefs": "True/ResolvedRefs", "Programmed": "True/Programmed", "ObjectsApplied": "True/ObjectsApplied",
		"RolledOut": "True/RolledOut", "VolumesWritable": "True/VolumesWritable", "Ready": "True/Ready",
	} {
		if got := lines(st)[conditionType]; got != want {
			t.Errorf("%s is %s, want %s", conditionType, got, want)
		}
	}
	if st.ObservedGeneration != 3 || st.ConfigDigest != "d" || *st.AttachedUsers != 7 || *st.HostKeys[0].ProvedUsers != 5 || len(st.KnownHosts) != 1 || st.Addresses[0].Port != 22 {
		t.Errorf("status %+v", st)
	}
	if st.Selector != "sftp-operator.io/listener=partners" {
		t.Errorf("selector %q", st.Selector)
	}
}

// Each row has one finding and the resulting conditions. Those not named stay as in a healthy listener.
func TestConditions(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*Input)
		want    map[string]string
		message string // in the first condition that is not True
	}{
		"a host key is missing": {
			func(in *Input) {
				in.HostKeys = &hostkeys.Result{Problem: &conditions.Problem{Reason: "HostKeyNotFound", Message: "SFTPKey gone"}}
			},
			map[string]string{"ResolvedRefs": "False/HostKeyNotFound", "Ready": "False/HostKeyNotFound"},
			"SFTPKey gone",
		},
		"a host key is being created": {
			func(in *Input) {
				in.HostKeys = &hostkeys.Result{Problem: &conditions.Problem{Reason: "Pending", Message: "being created"}}
			},
			map[string]string{"ResolvedRefs": "Unknown/Pending", "Ready": "Unknown/Pending"},
			"being created",
		},
		"host keys cannot be read": {
			func(in *Input) { in.HostKeys, in.HostKeysErr = nil, errors.New("503") },
			map[string]string{"ResolvedRefs": "Unknown/SecretUnreadable"},
			"The host keys cannot be read: 503. What was read before stays in effect",
		},
		"a claim cannot be read": {
			func(in *Input) { in.Volumes.Err = errors.New("503") },
			map[string]string{"ResolvedRefs": "Unknown/SecretUnreadable"},
			"claims cannot be read: 503",
		},
		"a claim is missing": {
			func(in *Input) {
				in.Volumes.Problems = []volumes.Problem{{Volume: "data", Reason: "VolumeClaimNotFound", Message: "no claim"}}
			},
			map[string]string{"ResolvedRefs": "False/VolumeClaimNotFound", "Ready": "False/VolumeClaimNotFound"},
			"no claim",
		},
		"a claim cannot be shared": {
			func(in *Input) {
				in.Volumes.Problems = []volumes.Problem{{Volume: "data", Reason: "VolumeNotShareable", Message: "one node"}}
			},
			map[string]string{"Accepted": "False/VolumeNotShareable", "Ready": "False/VolumeNotShareable"},
			"one node",
		},
		"a shard is refused": {
			func(in *Input) {
				in.Access.Delivered.Refusals = []conditions.Problem{{Reason: "ApplyFailed", Message: "quota"}}
			},
			map[string]string{"Programmed": "False/ApplyFailed", "Ready": "False/ApplyFailed"},
			"quota",
		},
		"a shard cannot be written": {
			func(in *Input) { in.Access.Delivered.Err = errors.New("timeout") },
			map[string]string{"Programmed": "False/ApplyPending", "Ready": "False/ApplyPending"},
			"The configuration cannot be written: timeout. The operator retries",
		},
		"the configuration cannot be recalled": {
			func(in *Input) { in.Access.Err = errors.New("503") },
			map[string]string{"Programmed": "False/InternalError", "Ready": "False/InternalError"},
			"503",
		},
		"a Service is refused": {
			func(in *Input) {
				in.Workload.Refusals = []workload.Refusal{{Object: "Service", Reason: "ApplyFailed", Message: "nodePort"}, {Object: "PDB", Reason: "ApplyFailed", Message: "policy"}}
			},
			map[string]string{"ObjectsApplied": "False/ApplyFailed"},
			"nodePort; policy",
		},
		"the SFTPKey cannot be applied": {
			func(in *Input) { in.HostKeys.Refusal = errors.New("503") },
			map[string]string{"ObjectsApplied": "False/ApplyFailed"},
			"503",
		},
		"objects cannot be applied": {
			func(in *Input) { in.Workload.Err = errors.New("503") },
			map[string]string{"ObjectsApplied": "False/ApplyPending"},
			"Objects of the listener cannot be applied: 503",
		},
		"the Deployment was changed": {
			func(in *Input) { in.Workload.Drift = []string{"Deployment spec.template.spec.hostNetwork"} },
			map[string]string{"ObjectsApplied": "False/Drifted"},
			"spec.template.spec.hostNetwork. Remove them",
		},
		"a pod rejects the configuration": {
			func(in *Input) { in.Acks.Acknowledged, in.Acks.Refused = 1, "pod a: damaged" },
			map[string]string{"Programmed": "False/ConfigRejected", "Ready": "False/ConfigRejected"},
			"keeps the previous one: pod a: damaged",
		},
		"a pod does not prove itself": {
			func(in *Input) { in.Acks.Acknowledged, in.Acks.Unproven = 1, "pod a" },
			map[string]string{"Programmed": "Unknown/PodUnreachable", "Ready": "False/PodUnreachable"},
			"does not prove that it has the listener's configuration: pod a",
		},
		"a pod cannot be reached": {
			func(in *Input) { in.Acks.Acknowledged, in.Acks.Unreachable = 1, "pod a: timeout" },
			map[string]string{"Programmed": "Unknown/PodUnreachable", "Ready": "False/PodUnreachable"},
			"port 8081 of the pods; check NetworkPolicies: pod a: timeout",
		},
		"a pod is late": {
			func(in *Input) {
				in.Acks.Acknowledged, in.Acks.Behind, in.Acks.Late = 1, []string{"a"}, map[string]time.Time{"a": noon.Add(-LateAfter)}
			},
			map[string]string{"Programmed": "False/ConfigPending", "Ready": "False/ConfigPending"},
			"1 of 2 ready pods have loaded the configuration; pod a has not since 2026-11-28T11:59:45Z",
		},
		"a pod is not late yet": {
			func(in *Input) {
				in.Acks.Acknowledged, in.Acks.Behind, in.Acks.Late = 1, []string{"a"}, map[string]time.Time{"a": noon.Add(time.Second - LateAfter)}
			},
			map[string]string{"Programmed": "False/ConfigPending", "Ready": "False/ConfigPending"},
			"1 of 2 ready pods have loaded the configuration",
		},
		"no pod is ready": {
			func(in *Input) { in.Acks = &ack.Result{Digest: "d"} },
			map[string]string{"Programmed": "False/ConfigPending", "Ready": "False/PodsUnavailable", "VolumesWritable": ""},
			"",
		},
		"pods cannot be created": {
			func(in *Input) {
				in.Acks = &ack.Result{Digest: "d"}
				in.Workload.Rollout.PodsRefused = "exceeded quota"
			},
			map[string]string{"Programmed": "False/ConfigPending", "Ready": "False/PodsUnavailable", "VolumesWritable": ""},
			"",
		},
		"replicas is 0": {
			func(in *Input) {
				in.Listener.Spec.Replicas = new(int32(0))
				in.Acks = &ack.Result{Digest: "d"}
			},
			map[string]string{"Programmed": "False/ConfigPending", "Ready": "", "Inactive": "True/ScaledToZero", "VolumesWritable": ""},
			"",
		},
		"the Service is not there": {
			func(in *Input) { in.Workload.Service = nil },
			map[string]string{"Programmed": "False/AddressNotAssigned", "Ready": "False/AddressNotAssigned"},
			"The Service does not exist yet",
		},
		"the load balancer has no address": {
			func(in *Input) { in.Workload.Service.Spec.Type = corev1.ServiceTypeLoadBalancer },
			map[string]string{"Programmed": "False/AddressNotAssigned", "Ready": "False/AddressNotAssigned"},
			"has not assigned an address",
		},
		"a volume is full": {
			func(in *Input) { in.Acks.Volumes[0].Problem = config.VolumeFull },
			map[string]string{"VolumesWritable": "False/VolumeFull"},
			`Volume "data" is full in pod a`,
		},
		"a rollout waits for its turn": {
			func(in *Input) {
				in.Workload.Rollout = workload.Rollout{State: workload.Held, Busy: 2, Pending: &workload.Pending{Reason: "RolloutQueued", Changes: []string{"image"}, Since: noon}}
			},
			map[string]string{"RolledOut": "False/RolloutQueued"},
			"A change to image waits. It begins automatically: 2 of at most 2 concurrent rollouts are running",
		},
		"a rollout is paused": {
			func(in *Input) {
				in.Workload.Rollout = workload.Rollout{State: workload.Held, Pending: &workload.Pending{Reason: "RolloutPaused", Changes: []string{"image"}, Since: noon}}
			},
			map[string]string{"RolledOut": "False/RolloutPaused"},
			"set it to Automatic",
		},
		"pods are replaced": {
			func(in *Input) {
				in.Workload.Rollout = workload.Rollout{State: workload.Rolling, Changes: []string{"image"}, Recreate: true}
			},
			map[string]string{"RolledOut": "False/RollingOut"},
			"because of a change to image; the old one ends before the new one starts",
		},
		"pods do not become ready": {
			func(in *Input) { in.Workload.Rollout = workload.Rollout{State: workload.Stuck} },
			map[string]string{"RolledOut": "False/RolloutStalled", "Stalled": "True/RolloutStalled"},
			"kubectl -n ns describe pods -l sftp-operator.io/listener=partners says why",
		},
	} {
		in := wellInput()
		tc.change(&in)
		want := lines(Build(wellInput()))
		for conditionType, line := range tc.want {
			if want[conditionType] = line; line == "" {
				delete(want, conditionType)
			}
		}
		st := Build(in)
		got := lines(st)
		for _, progress := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
			if tc.want[progress] == "" { // they follow from the others; see package conditions
				delete(got, progress)
			}
		}
		for conditionType := range want {
			if got[conditionType] != want[conditionType] {
				t.Errorf("%s: %s is %q, want %q", name, conditionType, got[conditionType], want[conditionType])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		found := tc.message == ""
		for _, c := range st.Conditions {
			found = found || c.Status != metav1.ConditionTrue && strings.Contains(c.Message, tc.message)
		}
		if !found {
			t.Errorf("%s: no condition says %q: %+v", name, tc.message, st.Conditions)
		}
	}
}

// A step that was not reached changes no condition: its last result stays.
func TestStepsThatWereNotReached(t *testing.T) {
	before := Build(wellInput())
	for name, change := range map[string]func(*Input){
		"host keys": func(in *Input) { in.HostKeys = nil },
		"access":    func(in *Input) { in.Access = nil },
		"pods":      func(in *Input) { in.Acks = nil },
		"users":     func(in *Input) { in.Users = nil },
		"objects": func(in *Input) {
			in.Workload = workload.Result{Addresses: in.Workload.Addresses, Service: in.Workload.Service}
		},
	} {
		in := wellInput()
		in.Listener.Status = before
		change(&in)
		after := Build(in)
		for _, c := range before.Conditions {
			if now := meta.FindStatusCondition(after.Conditions, c.Type); now == nil || *now != c {
				t.Errorf("without %s: %s is %+v, was %+v", name, c.Type, now, c)
			}
		}
		if *after.AttachedUsers != 7 || len(after.HostKeys) != 1 || after.ConfigDigest != "d" {
			t.Errorf("without %s: %+v", name, after)
		}
	}
}

// While pods load what was delivered, no condition flips. A longer delay is shown.
func TestSettling(t *testing.T) {
	in := wellInput()
	in.Listener.Status = Build(in)
	in.Access.Delivered.Version = &delivery.Version{Digest: "e"}
	in.Acks = &ack.Result{Digest: "e", Ready: 2, Acknowledged: 1, Behind: []string{"a"}}
	in.Settling = true
	if got := lines(Build(in)); got["Programmed"] != "True/Programmed" || got["Ready"] != "True/Ready" {
		t.Errorf("at once: %v", got)
	}
	if st := Build(in); st.ConfigDigest != "d" {
		t.Errorf("digest %q before all pods have loaded it", st.ConfigDigest)
	}
	in.Settling = false
	if got := lines(Build(in)); got["Programmed"] != "False/ConfigPending" || got["Ready"] != "False/ConfigPending" {
		t.Errorf("later: %v", got)
	}
}

// Ready for a generation means that pods have loaded it: neither a configuration compiled from an earlier one, nor one in
// flight, counts for it.
func TestGenerationIsLoaded(t *testing.T) {
	generations := func(st v1alpha1.SFTPListenerStatus) [3]int64 {
		of := func(name string) int64 { return meta.FindStatusCondition(st.Conditions, name).ObservedGeneration }
		return [3]int64{of("Programmed"), of("Ready"), st.ObservedGeneration}
	}
	in := wellInput()
	in.Listener.Status = Build(in)
	in.Listener.Generation = 4
	if st := Build(in); generations(st) != [3]int64{3, 3, 3} || lines(st)["Ready"] != "True/Ready" {
		t.Errorf("not compiled yet: %v, %v", generations(st), lines(st))
	}
	in.Access.Generation = 4
	in.Access.Delivered.Version = &delivery.Version{Digest: "e"}
	in.Acks = nil // pods have not been asked yet
	if st := Build(in); generations(st) != [3]int64{3, 3, 3} || lines(st)["Ready"] != "True/Ready" {
		t.Errorf("written: %v, %v", generations(st), lines(st))
	}
	in.Acks = &ack.Result{Digest: "e", Ready: 2, Acknowledged: 1, Behind: []string{"a"}}
	in.Settling = true
	if st := Build(in); generations(st) != [3]int64{3, 3, 3} || lines(st)["Ready"] != "True/Ready" {
		t.Errorf("on its way: %v, %v", generations(st), lines(st))
	}
	in.Settling = false
	if st := Build(in); generations(st) != [3]int64{4, 4, 4} || lines(st)["Ready"] != "False/ConfigPending" {
		t.Errorf("late: %v, %v", generations(st), lines(st))
	}
	in.Acks = &ack.Result{Digest: "e", Ready: 2, Acknowledged: 2}
	if st := Build(in); generations(st) != [3]int64{4, 4, 4} || lines(st)["Ready"] != "True/Ready" {
		t.Errorf("loaded: %v, %v", generations(st), lines(st))
	}
}

// A pending change keeps its place in the queue while it can be neither made nor dropped.
func TestPendingRestartIsKept(t *testing.T) {
	in := wellInput()
	since := metav1.NewTime(noon.Add(-time.Hour))
	in.Listener.Status.PendingRestart = &v1alpha1.ListenerPendingRestart{Reason: "RolloutQueued", Changes: []string{"image"}, Since: since, Sessions: new(int32(3))}
	in.Workload.Rollout = workload.Rollout{}
	st := Build(in)
	if p := st.PendingRestart; p == nil || p.Reason != "RolloutBlocked" || p.Since != since || lines(st)["RolledOut"] != "False/RolloutBlocked" {
		t.Errorf("unknown: %+v, %v", p, lines(st))
	}
	in.Workload.Rollout = workload.Rollout{State: workload.Held, Pending: &workload.Pending{Reason: "RolloutQueued", Changes: []string{"image"}, Since: since.Time}}
	in.Acks.Sessions = new(int32(9))
	if p := Build(in).PendingRestart; *p.Pods != 2 || *p.Sessions != 3 {
		t.Errorf("sessions are counted again at once: %+v", p)
	}
	in.Recount = true
	if p := Build(in).PendingRestart; *p.Sessions != 9 {
		t.Errorf("sessions are not counted again: %+v", p)
	}
	in.Workload.Rollout = workload.Rollout{State: workload.Complete}
	if p := Build(in).PendingRestart; p != nil {
		t.Errorf("it is still there: %+v", p)
	}
}

func TestPaused(t *testing.T) {
	in := wellInput()
	in.Listener.Status = Build(in)
	st := Paused(in.Listener, noon)
	got := lines(st)
	if got["Accepted"] != "False/Paused" || got["Ready"] != "" || got["Inactive"] != "True/Paused" || got["Programmed"] != "True/Programmed" {
		t.Errorf("%v", got)
	}
	if m := meta.FindStatusCondition(st.Conditions, "Inactive").Message; !strings.Contains(m, "no access is removed") {
		t.Errorf("it does not say that nothing is revoked: %q", m)
	}
}

func TestEvents(t *testing.T) {
	well := Build(wellInput())
	with := func(change func(*Input)) v1alpha1.SFTPListenerStatus {
		in := wellInput()
		in.Listener.Status = well
		change(&in)
		return Build(in)
	}
	refused := with(func(in *Input) {
		in.Workload.Refusals = []workload.Refusal{{Reason: "ApplyFailed", Message: "quota"}}
	})
	full := with(func(in *Input) { in.Acks.Volumes[0].Problem = config.VolumeFull })
	noPods := with(func(in *Input) { in.Acks = &ack.Result{Digest: "d"} })
	for name, tc := range map[string]struct {
		before, after v1alpha1.SFTPListenerStatus
		want          []string
	}{
		"ready at first":              {v1alpha1.SFTPListenerStatus{}, well, []string{"Normal Ready"}},
		"nothing changed":             {well, well, nil},
		"pods went":                   {well, noPods, []string{"Warning PodsUnavailable"}},
		"pods are still to come":      {v1alpha1.SFTPListenerStatus{}, noPods, []string{"Normal PodsUnavailable"}},
		"pods came back":              {noPods, well, []string{"Normal Ready"}},
		"an object was refused":       {well, refused, []string{"Warning ApplyFailed"}},
		"it is applied":               {refused, well, []string{"Normal ObjectsApplied"}},
		"a volume is full":            {well, full, []string{"Warning VolumeFull"}},
		"there is room on the volume": {full, well, []string{"Normal VolumesWritable"}},
	} {
		var got []string
		for _, e := range Events(tc.before, tc.after) {
			got = append(got, e.Type+" "+e.Reason)
		}
		if strings.Join(got, ", ") != strings.Join(tc.want, ", ") {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
