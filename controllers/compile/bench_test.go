package compile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// many returns an input with many users of two keys each, in random order, as an informer lists them.
func many(n int) Input {
	users := make([]*v1alpha1.SFTPUser, n)
	for i := range users {
		name := fmt.Sprintf("partner-%05d", i)
		users[i] = user(name, 2*i, 2*i+1)
		users[i].UID = types.UID("00000000-0000-0000-0000-0000000" + name[8:])
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { users[i], users[j] = users[j], users[i] })
	in := input(users...)
	in.Listener.Spec.MaxUsers = new(int32(n))
	return in
}

// change changes one user and compiles again from the last output.
func change(in Input, out Output, i int) Input {
	in.Seats, in.Previous = out.Seats, out.Slots
	in.Users = slices.Clone(in.Users)
	n := len(in.Users)
	in.Users[i%n] = withKeys(in.Users[i%n], 2*(i%n), 2*n+i)
	return in
}

// BenchmarkCompile10k measures one change among 10,000 users.
func BenchmarkCompile10k(b *testing.B) {
	in, memo := many(10_000), &Memo{}
	out := Compile(in, memo)
	b.ReportAllocs()
	var cpu time.Duration
	i := 0
	for ; b.Loop(); i++ {
		b.StopTimer()
		in = change(in, out, i)
		b.StartTimer()
		digest, before := out.Files.Digest, cpuTime(b)
		if out = Compile(in, memo); out.Files.Digest == digest {
			b.Fatal("the change is not in the configuration")
		}
		cpu += cpuTime(b) - before
	}
	// CPU time of all threads, including the garbage collector's, regardless of other load.
	b.ReportMetric(float64(cpu.Microseconds())/1000/float64(i), "cpu-ms/op")
}

// cpuTime returns the process's CPU time.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkCompile10kFresh measures the first output for 10,000 users.
func BenchmarkCompile10kFresh(b *testing.B) {
	in := many(10_000)
	for b.Loop() {
		Compile(in, nil)
	}
}

// What a change allocates does not depend on the number of users, except for a few slices.
func TestAllocations(t *testing.T) {
	in, memo := many(2000), &Memo{}
	out := Compile(in, memo)
	i := 0
	if got := testing.AllocsPerRun(20, func() {
		in = change(in, out, i)
		out = Compile(in, memo)
		i++
	}); got > 400 {
		t.Errorf("one change among 2,000 users allocates %v times", got)
	}
}
