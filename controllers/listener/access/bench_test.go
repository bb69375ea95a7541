package access

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/delivery"
	"github.com/sftp-operator/sftp-operator/controllers/listener/keyuse"
	"github.com/sftp-operator/sftp-operator/controllers/listener/outcome"
)

// BenchmarkChange10k measures a change to one user among 10,000: the access controller's work until the configuration is
// written, and the outcomes of users, once when it is delivered and once when the pods have it.
func BenchmarkChange10k(b *testing.B) {
	const users = 10_000
	r := newRig(b)
	r.l.Spec.MaxUsers = new(int32(users))
	r.hostKey()
	for i := range users {
		r.put(fmt.Sprintf("partner-%05d", i), 1, i)
	}
	m := r.memory(r.name(), r.l.UID)
	var history delivery.History
	var memo outcome.Memo
	in := outcome.Input{
		Listener: r.l, Uses: &keyuse.Tracker{}, Now: noon, Unmounted: func(*v1alpha1.SFTPUser) string { return "" },
	}
	var observed string
	var cpu [2]time.Duration
	deliver := func() *delivery.Version {
		began := cpuTime(b)
		out, _ := r.deliver(b.Context(), r.l, m)
		r.publish(r.l, out)
		cpu[0] += cpuTime(b) - began
		if out.Err != nil || out.Delivered.Err != nil || !out.Delivered.Wrote {
			b.Fatalf("%+v", out.Delivered)
		}
		return out.Delivered.Version
	}
	look := func(v *delivery.Version, settling bool) {
		began := cpuTime(b)
		in.Users, in.Settling, in.Latest = m.users, settling, r.Users.Latest(r.name())
		history.Note(v)
		digest := v.Digest
		if settling {
			digest = observed
		}
		in.Loaded = history.Loaded([]string{digest, digest}, true)
		outcome.Users(in, &memo)
		if !settling {
			history.Acknowledge(v)
			observed = digest
		}
		cpu[1] += cpuTime(b) - began
	}
	v := deliver()
	look(v, false)
	cpu = [2]time.Duration{}
	b.ReportAllocs()
	n := 0
	for ; b.Loop(); n++ {
		r.put(fmt.Sprintf("partner-%05d", n*37%users), int64(n+2), users+n)
		v = deliver()
		look(v, true)
		look(v, false)
	}
	b.ReportMetric(float64(cpu[0].Microseconds())/1000/float64(n), "access-cpu-ms/op")
	b.ReportMetric(float64(cpu[1].Microseconds())/1000/float64(n), "outcome-cpu-ms/op")
}

// cpuTime returns the process's CPU time, including the garbage collector's threads.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
