package operator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// fleet creates listeners with users, each in its own namespace, and waits until all are ready.
func fleet(t *testing.T, listeners, users int) (namespaces []string) {
	t.Helper()
	for range listeners {
		ns := namespace(t, nil)
		namespaces = append(namespaces, ns)
		readyListener(t, ns)
		for i := range users {
			create(t, newUser(ns, fmt.Sprintf("user-%02d", i)))
		}
	}
	within(t, 3*time.Minute, func() error {
		for _, ns := range namespaces {
			var list v1alpha1.SFTPUserList
			if err := api.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
				return err
			}
			for i := range list.Items {
				if !meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
					return fmt.Errorf("%s/%s is not ready", ns, list.Items[i].Name)
				}
			}
		}
		return nil
	})
	return namespaces
}

// settled waits until the operator has made no API requests for some time, and returns what it did until then.
func settled(t *testing.T) map[string]int {
	t.Helper()
	total := map[string]int{}
	within(t, time.Minute, func() error {
		time.Sleep(2 * time.Second)
		now := asked.take()
		for key, n := range now {
			total[key] += n
		}
		if len(now) > 0 {
			return fmt.Errorf("the operator keeps making requests: %v", now)
		}
		return nil
	})
	return total
}

// The cost of a change does not depend on the number of listeners and users: one shard, the settings that name it, the
// annotation of the pod, and the status of the listener and of the user.
func TestWritesOfAChange(t *testing.T) {
	const listeners, users = 10, 20
	namespaces := fleet(t, listeners, users)
	settled(t)
	// Pods that take long to load the change are reported in the meantime, which takes additional writes.
	judge(t, func() error { return costOfAChange(t, namespaces, newUser(namespaces[3], "user-07")) })

	// If there are no changes, an operator that starts reads what exists and writes nothing.
	before := allVersions(t, namespaces)
	asks := pods.asks()
	restartOperator(t, func() { asked.take(); asked.takeWritten() })
	within(t, time.Minute, func() error {
		for _, ns := range namespaces {
			if pods.asks()[ns] == asks[ns] {
				return fmt.Errorf("the pods of %s were not asked yet", ns)
			}
		}
		return nil
	})
	settled(t)
	for _, write := range asked.takeWritten() {
		if slices.ContainsFunc(namespaces, func(ns string) bool { return strings.Contains(write, "/namespaces/"+ns+"/") }) {
			t.Errorf("written after a restart: %s", write)
		} else { // objects that other tests have left may need a change, such as a key that has expired meanwhile
			t.Logf("written after a restart, in another test's namespace: %s", write)
		}
	}
	if after := allVersions(t, namespaces); !maps.Equal(before, after) {
		t.Error("objects have different versions after a restart")
	}
}

// costOfAChange changes a user, and returns an error if that costs more than necessary.
func costOfAChange(t *testing.T, namespaces []string, u *v1alpha1.SFTPUser) error {
	t.Helper()
	before := allVersions(t, namespaces)
	change(t, u, func(u *v1alpha1.SFTPUser) {
		keys := &u.Spec.Authentication.AuthorizedKeys
		*keys = append(*keys, publicKey(fmt.Sprint("another of ", u.Namespace, len(*keys))))
	})
	waitReady(t, u)
	counts := settled(t)
	want := map[string]int{"PATCH secrets": 2, "PATCH pods": 1, "PATCH sftplisteners/status": 1, "PATCH sftpusers/status": 1}
	if got := writes(counts); !maps.Equal(got, want) {
		return fmt.Errorf("writes %v, want %v", got, want)
	}
	// A recent write may be read again once, bypassing the cache.
	maps.DeleteFunc(counts, func(key string, _ int) bool { return key == "GET sftplisteners" || key == "GET sftpusers" })
	if len(counts) != len(want) {
		return fmt.Errorf("the operator read from the API server: %v", counts)
	}
	changed := []string{}
	for name, version := range allVersions(t, namespaces) {
		if before[name] != version {
			changed = append(changed, name)
		}
	}
	if len(changed) != 5 {
		return fmt.Errorf("changed: %v, want the user, the listener, the pod, the settings and one shard", slices.Sorted(slices.Values(changed)))
	}
	return nil
}

func allVersions(t *testing.T, namespaces []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, ns := range namespaces {
		for name, version := range versions(t, ns) {
			out[ns+" "+name] = version
		}
	}
	return out
}

// within waits until a check returns nil. The limit is for an idle machine.
func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit*time.Duration(slowness().Seconds()))
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
