package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// readiness tracks since when each user has been ready, with a watch, as `kubectl wait` does.
type readiness struct {
	mu    sync.Mutex
	users map[client.ObjectKey]readyUser // mu guards it
}

type readyUser struct {
	generation int64
	at         time.Time
}

func watchReadiness(ctx context.Context, informers ctrlcache.Cache) (*readiness, error) {
	r := &readiness{users: map[client.ObjectKey]readyUser{}}
	users, err := informers.GetInformer(ctx, &v1alpha1.SFTPUser{})
	if err != nil {
		return nil, err
	}
	_, err = users.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    r.note,
		UpdateFunc: func(_, o any) { r.note(o) },
	})
	return r, err
}

func (r *readiness) note(o any) {
	now := time.Now()
	u, ok := o.(*v1alpha1.SFTPUser)
	if !ok {
		return
	}
	c := meta.FindStatusCondition(u.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status != metav1.ConditionTrue {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKeyFromObject(u)
	if r.users[key].generation < c.ObservedGeneration {
		r.users[key] = readyUser{c.ObservedGeneration, now}
	}
}

// wait waits until a user's generation is ready and returns when that was.
func (r *readiness) wait(ctx context.Context, u *v1alpha1.SFTPUser, limit time.Duration) (at time.Time, err error) {
	key := client.ObjectKeyFromObject(u)
	err = poll(ctx, limit, fmt.Sprintf("%s ready", key), func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		at = r.users[key].at
		return r.users[key].generation >= u.Generation, nil
	})
	return at, err
}

// count returns how many users are ready.
func (r *readiness) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.users)
}

// onlyConditions reduces users in a cache to the fields that readiness needs.
func onlyConditions(o any) (any, error) {
	u, ok := o.(*v1alpha1.SFTPUser)
	if !ok {
		return o, nil
	}
	small := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{
		Namespace: u.Namespace, Name: u.Name, UID: u.UID, ResourceVersion: u.ResourceVersion, Generation: u.Generation,
	}}
	small.Status.Conditions = u.Status.Conditions
	return small, nil
}
