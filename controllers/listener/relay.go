package listener

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/listener/workload"
	"github.com/sftp-operator/sftp-operator/controllers/relay"
	"github.com/sftp-operator/sftp-operator/controllers/relay/watch"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// readSecret is the part of a Secret that the sinks of a generation of a listener refer to, as it was last read.
type readSecret struct {
	generation int64
	uid        types.UID
	version    string
	data       map[string][]byte
}

// planRelay plans the relay of a listener that wants one. Without host keys, from which its key is derived, it stays as it is.
func (r *Reconciler) planRelay(ctx context.Context, f *findings) error {
	l := f.listener
	if !relay.Wanted(l) {
		f.relay = workload.Relay{Known: true}
		f.memory.eventSecrets = nil
		return nil
	}
	keys := r.Store.Of(client.ObjectKeyFromObject(l), l.UID).HostKeys.Load()
	if keys == nil || len(keys.Private) == 0 {
		return nil
	}
	key := config.EventsKey(render.PrivateKeys(keys.Private))
	secrets := map[string]readSecret{}
	plan := relay.Compose(relay.Input{
		Listener: l, Platform: r.Platform.Policy(), Key: key,
		Secret: func(name string) relay.Secret { return r.eventSecret(ctx, f, secrets, name) },
	})
	f.memory.eventSecrets = secrets
	encoded, err := plan.Config.Encode()
	if err != nil {
		return fmt.Errorf("configuration of the relay: %w", err)
	}
	f.relayPlan = &plan
	if f.platform.Unusable {
		return nil // it is unknown where events may be sent, so the relay stays as it is
	}
	f.relay = workload.Relay{Known: true, Wanted: true, Config: encoded, Key: key, Sinks: plan.Config.Sinks}
	return nil
}

// eventSecret returns a Secret that a sink refers to. Each version is read once, and once for each generation of the listener; the
// caches know the version.
func (r *Reconciler) eventSecret(ctx context.Context, f *findings, into map[string]readSecret, name string) relay.Secret {
	if s, ok := into[name]; ok {
		return relay.Secret{Data: s.data}
	}
	id := types.NamespacedName{Namespace: f.listener.Namespace, Name: name}
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := r.Client.Get(ctx, id, m); err == nil {
		if s := f.memory.eventSecrets[name]; s.data != nil && s.generation == f.listener.Generation && s.uid == m.UID && s.version == m.ResourceVersion {
			into[name] = s
			return relay.Secret{Data: s.data}
		}
	}
	full := &corev1.Secret{}
	err := r.Live.Get(ctx, id, full)
	switch {
	case apierrors.IsNotFound(err):
		return relay.Secret{Missing: true}
	case err != nil:
		f.relayErr = err // the next reconcile tries again
		if s := f.memory.eventSecrets[name]; s.data != nil && s.generation == f.listener.Generation {
			into[name] = s
			return relay.Secret{Data: s.data}
		}
		return relay.Secret{Failure: "the API server does not return it at the moment"}
	}
	s := readSecret{
		generation: f.listener.Generation, uid: full.UID, version: full.ResourceVersion, data: relay.Part(f.listener, name, full.Data),
	}
	into[name] = s
	return relay.Secret{Data: s.data}
}

// watchRelay sets where the relay is, and takes its last answer.
func (r *Reconciler) watchRelay(f *findings) {
	name := client.ObjectKeyFromObject(f.listener)
	switch {
	case r.Relays == nil || !f.relay.Known:
	case !f.relay.Wanted:
		r.Relays.Set(name, nil)
		return
	case f.workload.RelayAddress != "":
		r.Relays.Set(name, &watch.Target{UID: f.listener.UID, Address: f.workload.RelayAddress, Key: f.relay.Key})
	}
	if r.Relays != nil {
		f.relayAnswer = r.Relays.Get(name, f.listener.UID)
	}
}

// listenersOfEventSecret returns the listeners with a sink that refers to a Secret.
func (r *Reconciler) listenersOfEventSecret(ctx context.Context, namespace, secret string) []reconcile.Request {
	var list v1alpha1.SFTPListenerList
	if err := r.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil // its watch is retried
	}
	var out []types.NamespacedName
	for i := range list.Items {
		for _, name := range relay.Refs(&list.Items[i]) {
			if name == secret {
				out = append(out, client.ObjectKeyFromObject(&list.Items[i]))
			}
		}
	}
	return requests(out)
}
