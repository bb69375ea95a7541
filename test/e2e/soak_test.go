package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// soakTime returns how long TestSoak takes: the variable SOAK, which make soak sets.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(envOr("SOAK", "1m"))
	must(t, err)
	return d
}

// Several clients move files while users are added and removed five times a second and pods are killed. No file differs from
// what was sent, the only sessions that end are those of a killed pod, and neither the daemon nor the operator grows.
func TestSoak(t *testing.T) {
	duration := soakTime(t)
	killEvery := min(2*time.Minute, duration/3)
	ns := newNamespace(t, "soak", nil)
	l := newListener(t, ns, "partners", func(s *v1alpha1.SFTPListenerSpec) {
		s.Replicas = new(int32(2))
		s.Volumes = []v1alpha1.ListenerVolume{{Name: "data", ClaimTemplate: &v1alpha1.ClaimTemplate{
			Storage: resource.MustParse("2Gi"), AccessModes: []v1alpha1.AccessMode{"ReadWriteMany"},
		}}}
	})
	waitTwoPods(t, l)
	s := &soak{listener: l, key: newKey(t), hosts: knownHosts(t, l), dir: t.TempDir(), files: map[string]string{}, moved: map[string]int{}}
	for _, client := range []string{"library", "openssh", "curl"} {
		newUser(t, l, ns, client, keyAuth(s.key))
	}
	oldest := oldestPod(t, l)

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var running sync.WaitGroup
	for i := range 3 {
		running.Go(func() { s.library(ctx, i) })
	}
	running.Go(func() { s.programs(ctx, "openssh", s.openSSH) })
	running.Go(func() { s.programs(ctx, "curl", s.curl) })
	running.Go(func() { s.churn(ctx, ns) })
	running.Go(func() { s.kill(ctx, killEvery, oldest.Name) })
	daemon, operator := newGauge("http", &oldest, "8081", ""), operatorGauge(t)
	running.Go(func() { s.watch(ctx, daemon, operator) })
	running.Wait()

	// After the clients have finished, the operator is up to date, and all files are as they were sent.
	newUser(t, l, ns, "after", keyAuth(s.key))
	s.verifyAll(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.problems {
		t.Error(p)
	}
	daemon.mustBeFlat(t, "the daemon")
	operator.mustBeFlat(t, "the operator")
	if s.moved["library"] == 0 || s.moved["openssh"] == 0 || s.moved["curl"] == 0 || s.changes == 0 || s.kills == 0 {
		t.Errorf("files moved: %v, changes to users: %d, pods killed: %d; want some of each", s.moved, s.changes, s.kills)
	}
	fmt.Printf("SOAK %s: files put and read back %v (%d MiB), %d changes to users, %d pods killed, %d sessions ended with their pods, %d transfers retried meanwhile, %d files verified at the end, 0 differ\n",
		duration, s.moved, s.bytes>>20, s.changes, s.kills, s.endedWithPod, s.again, len(s.files))
	fmt.Printf("SOAK daemon %s\nSOAK operator %s\n", daemon, operator)
}

// soak is the state shared by clients and troublemakers.
type soak struct {
	listener *v1alpha1.SFTPListener
	key      keyPair
	hosts    string // known_hosts
	dir      string // for clients' files

	mu       sync.Mutex
	problems []string
	moved    map[string]int
	bytes    int64
	// files that must exist, with their SHA-256, by "<client>/<name>".
	files map[string]string
	// killing are the periods in which a pod terminates; the last one may not have ended.
	killing                             []window
	kills, changes, again, endedWithPod int
}

type window struct{ from, to time.Time }

// problem records something that must not happen.
func (s *soak) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < 20 {
		s.problems = append(s.problems, time.Now().Format(time.TimeOnly)+" "+fmt.Sprintf(format, args...))
	}
}

// disturbed reports whether a pod has been terminating at any time since then.
func (s *soak) disturbed(since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.killing {
		if w.to.IsZero() || w.to.After(since) {
			return true
		}
	}
	return false
}

// note counts a file that was uploaded and read back.
func (s *soak) note(client, name, sum string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved[client]++
	s.bytes += int64(size)
	s.files[client+"/"+name] = sum
}

// kill repeatedly deletes the pod that must not be kept, and waits until another one is ready.
func (s *soak) kill(ctx context.Context, every time.Duration, keep string) {
	for idle(ctx, every/2); ctx.Err() == nil; idle(ctx, every) {
		victim, ready, err := s.other(ctx, keep)
		if err != nil || victim == nil || !ready {
			continue // it is still starting
		}
		s.mu.Lock()
		s.killing = append(s.killing, window{from: time.Now()})
		s.kills++
		s.mu.Unlock()
		if err := kube.Delete(ctx, victim); err != nil {
			s.problem("kill pod %s: %v", victim.Name, err)
		}
		for gone := false; !gone && ctx.Err() == nil; idle(ctx, 200*time.Millisecond) {
			now, ready, err := s.other(ctx, keep)
			gone = err == nil && now != nil && now.UID != victim.UID && ready
		}
		idle(ctx, 2*time.Second) // the last packets
		s.mu.Lock()
		s.killing[len(s.killing)-1].to = time.Now()
		s.mu.Unlock()
	}
}

// other returns a pod that need not be kept, preferably one that is already terminating.
func (s *soak) other(ctx context.Context, keep string) (pod *corev1.Pod, ready bool, err error) {
	var list corev1.PodList
	err = kube.List(ctx, &list, client.InNamespace(s.listener.Namespace), client.MatchingLabels{v1alpha1.LabelListener: s.listener.Name})
	for i := range list.Items {
		p := &list.Items[i]
		if p.Name == keep || pod != nil && !pod.DeletionTimestamp.IsZero() {
			continue
		}
		pod, ready = p, false
		for _, c := range p.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp.IsZero()
		}
	}
	return pod, ready, err
}

func oldestPod(t *testing.T, l *v1alpha1.SFTPListener) corev1.Pod {
	t.Helper()
	pods := podsOf(t, l)
	oldest := pods[0]
	for _, p := range pods {
		if p.CreationTimestamp.Before(&oldest.CreationTimestamp) {
			oldest = p
		}
	}
	return oldest
}

// churn creates, changes, suspends and deletes users, five times a second.
func (s *soak) churn(ctx context.Context, ns string) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A user lives for 40 steps of four: created, given a new key, suspended, deleted.
		age, id := n%4, n/4-10*(n%4)
		if id < 0 {
			continue // at first no user is old enough
		}
		u := userOf(s.listener, ns, fmt.Sprintf("churn-%d", id), keyAuth(s.key))
		before := client.MergeFrom(u.DeepCopy())
		var err error
		switch age {
		case 0:
			err = kube.Create(ctx, u)
		case 1:
			u.Spec.Authentication.AuthorizedKeys = append(u.Spec.Authentication.AuthorizedKeys, churnKey)
			err = kube.Patch(ctx, u, before)
		case 2:
			u.Spec.State = v1alpha1.UserSuspended
			err = kube.Patch(ctx, u, before)
		case 3:
			err = kube.Delete(ctx, u)
		}
		if err != nil && ctx.Err() == nil {
			s.problem("change to SFTPUser %s: %v", u.Name, err)
		}
		s.mu.Lock()
		s.changes++
		s.mu.Unlock()
	}
}

const churnKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPbYjtj0C9ZQKkh8vKSO0RVmkrg7c1GvmqOKwEqTzGOc"

// idle waits for a duration, or until the time is up.
func idle(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
