package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// Writer writes configurations. It is the only one that writes these Secrets.
type Writer struct {
	// Client reads metadata from the caches.
	Client  client.Client
	Applier *apply.Applier
	Now     func() time.Time

	news news
	// atATime is shardsAtATime except in tests of the order.
	atATime int
}

// shardsAtATime is how many shards of a listener are written at a time.
const shardsAtATime = 4

// News reports whether a listener's Secret is not as the Writer left it. During a write, events may arrive before the write
// returns: those are evaluated afterwards, in Result.Foreign.
func (w *Writer) News(listener types.NamespacedName, o client.Object) bool {
	return !w.Applier.Knows("Secret", o) && !w.news.put(listener, o)
}

// Cache is what is known about a listener's stored Secrets. The zero value knows nothing.
type Cache struct {
	shards []part
	// checked are the records of each shard when last found to be in no other shard.
	checked []map[types.UID]string
	// version is the version that the settings name.
	version *Version
	// surplus is the number of shards beyond which Secrets were deleted.
	surplus int
}

// Version returns what is in the Secrets, nil if they were never complete.
func (c *Cache) Version() *Version { return c.version }

// part is a shard as it is stored.
type part struct {
	digest  string
	records map[types.UID]string
}

// Write writes the shards that have changed and then the settings that name them. A shard that cannot be written stays
// unchanged, and the settings name its stored content: the removal of a user in one shard does not wait for another shard.
func (w *Writer) Write(ctx context.Context, l *v1alpha1.SFTPListener, out compile.Output, hostKeys string, cache *Cache) (result Result) {
	w.news.begin(client.ObjectKeyFromObject(l))
	defer func() {
		for _, o := range w.news.end(client.ObjectKeyFromObject(l)) {
			result.Foreign = result.Foreign || !w.Applier.Knows("Secret", o)
		}
	}()
	s := &writing{Writer: w, listener: l, cache: cache}
	cache.shards = append(cache.shards, make([]part, max(0, len(out.Files.Shards)-len(cache.shards)))...)[:len(out.Files.Shards)]
	s.shards(ctx, out, false)
	s.settings(ctx, out, hostKeys)
	if len(cache.stored()) < len(cache.shards) {
		s.shards(ctx, out, true)
		s.settings(ctx, out, hostKeys)
	}
	if s.out.Err == nil && cache.surplus != len(out.Files.Shards) {
		if err := contained(ctx, func() error { return s.deleteSurplus(ctx, len(out.Files.Shards)) }); err != nil {
			s.out.Err = err
		} else {
			cache.surplus = len(out.Files.Shards)
		}
	}
	s.out.Version, s.out.Complete = cache.version, s.out.Err == nil && len(s.out.Refusals) == 0
	return s.out
}

// writing is one call of Write.
type writing struct {
	*Writer
	listener *v1alpha1.SFTPListener
	cache    *Cache
	out      Result
}

// shards writes the shards that are not stored as wanted: either those that were stored before, or those that never were. The
// latter come last, so that a removal does not wait for them. A shard that gains a user from another one is written after it:
// otherwise, if the other cannot be written, the user would be in both.
func (s *writing) shards(ctx context.Context, out compile.Output, created bool) {
	// gaining are shards that gain a user from another one.
	var others, gaining []int
	wanted := map[int]part{}
	for i, digest := range out.Files.ShardDigests {
		if created != (s.cache.shards[i].digest == "") {
			continue
		}
		if s.cache.shards[i].digest == digest && s.untouched(ctx, render.ShardSecretName(s.listener, i)) {
			continue
		}
		wanted[i] = part{digest: digest, records: recordsIn(out, i)}
		if s.cache.twice(i, wanted[i].records, s.cache.shards[i].records) {
			gaining = append(gaining, i)
		} else {
			others = append(others, i)
		}
	}
	ctx, cancel := half(ctx)
	defer cancel()
	for _, group := range [][]int{others, gaining} {
		for n, one := range s.writeShards(ctx, out, group) {
			if s.note(one) {
				s.cache.shards[group[n]] = wanted[group[n]]
			}
		}
	}
}

// writeShards writes several shards at a time: one that hangs does not use up the others' time.
func (s *writing) writeShards(ctx context.Context, out compile.Output, which []int) []attempt {
	attempts := make([]attempt, len(which))
	var writes errgroup.Group
	writes.SetLimit(cmp.Or(s.atATime, shardsAtATime))
	for n, i := range which {
		writes.Go(func() error {
			secret := render.Secret(s.listener, render.ShardSecretName(s.listener, i), map[string][]byte{render.ShardFile(i): out.Files.Shards[i]})
			attempts[n] = s.apply(ctx, secret)
			return nil
		})
	}
	_ = writes.Wait() // each attempt has its own error
	return attempts
}

// half returns a context with half of the remaining time: however long the shards take, there is time for the settings,
// without which the pods learn of none of them.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok {
		return context.WithTimeout(ctx, time.Until(end)/2)
	}
	return context.WithCancel(ctx)
}

// twice reports whether one of the records of shard i is stored in another shard. Records that it already had are not
// searched: with 10,000 users, searching for all of them took longer than anything else.
func (c *Cache) twice(i int, records, before map[types.UID]string) bool {
	for uid := range records {
		if _, had := before[uid]; had {
			continue
		}
		for j := range c.shards {
			if _, there := c.shards[j].records[uid]; there && j != i {
				return true
			}
		}
	}
	return false
}

// recordsIn returns the digests of the records in a shard, by user.
func recordsIn(out compile.Output, i int) map[types.UID]string {
	records := map[types.UID]string{}
	for j := range out.Users {
		if u := out.Users[j]; u.Digest != "" && u.Shard == i {
			records[u.User.UID] = u.Digest
		}
	}
	return records
}

// stored returns the shards up to the first one that was never stored. When a listener grows and a new one cannot be written,
// removals in the others must still reach the pods; the new users follow when it can be written.
func (c *Cache) stored() []part {
	if i := slices.IndexFunc(c.shards, func(p part) bool { return p.digest == "" }); i >= 0 {
		return c.shards[:i]
	}
	return c.shards
}

// errMoving is returned while a user is in two shards. Settings that name both would be refused by the pods.
var errMoving = errors.New("a user is being moved from one Secret to another, and only one of them could be written")

// settings writes the settings, which name the shards as they are stored.
func (s *writing) settings(ctx context.Context, out compile.Output, hostKeys string) {
	stored := s.cache.stored()
	if len(stored) < len(s.cache.shards) && s.cache.version == nil {
		return // there is nothing for pods to start with
	}
	digests := make([]string, len(stored))
	shards := make([]map[types.UID]string, len(stored))
	for i, p := range stored {
		var before map[types.UID]string
		if i < len(s.cache.checked) {
			before = s.cache.checked[i]
		}
		if !sameMap(before, p.records) && s.cache.twice(i, p.records, before) {
			s.out.Err = errors.Join(s.out.Err, errMoving)
			return
		}
		digests[i], shards[i] = p.digest, p.records
	}
	s.cache.checked = shards
	files, digest, err := render.Compose(out.Settings, out.HostKeys, out.ReceiptKey, digests)
	if err != nil {
		s.out.Err = errors.Join(s.out.Err, err)
		return
	}
	name := render.ConfigSecretName(s.listener)
	if v := s.cache.version; v != nil && v.Digest == digest && v.HostKeys == hostKeys && s.untouched(ctx, name) {
		return
	}
	if s.note(s.apply(ctx, render.Secret(s.listener, name, files))) && (s.cache.version == nil || s.cache.version.Digest != digest) {
		s.cache.version = &Version{Digest: digest, Shards: shards, HostKeys: hostKeys, At: s.Now()}
	}
}

// attempt is the result of applying a Secret.
type attempt struct {
	wrote bool
	err   error
}

// apply applies a Secret.
func (s *writing) apply(ctx context.Context, secret *corev1.Secret) (out attempt) {
	out.err = contained(ctx, func() error {
		applied, err := s.Applier.For(s.listener).Apply(ctx, secret)
		out.wrote = applied.Wrote
		return err
	})
	return out
}

// note adds an attempt to the result, and reports whether the Secret is as wanted now.
func (s *writing) note(a attempt) bool {
	s.out.Wrote = s.out.Wrote || a.wrote
	if a.err == nil {
		return true
	}
	if apply.NamespaceEnding(a.err) {
		return false // the listener is being deleted, and nothing can be created until then
	}
	if p, ok := apply.Problem(a.err); ok {
		s.out.Refusals = append(s.out.Refusals, p)
	} else {
		s.out.Err = errors.Join(s.out.Err, a.err)
	}
	return false
}

// untouched reports whether a Secret is unchanged since it was written. The caches know, so an unchanged part of a large
// listener costs no checksum.
func (s *writing) untouched(ctx context.Context, name string) bool {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := s.Client.Get(ctx, types.NamespacedName{Namespace: s.listener.Namespace, Name: name}, m)
	return err == nil && s.Applier.Wrote("Secret", m)
}

var errPanic = errors.New("internal error of the operator in this step; its log has the details")

// contained turns a panic into an error: what was already written must still be announced to the pods.
func contained(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value and the stack must not be in a status: they may quote anything.
			ctrl.LoggerFrom(ctx).Error(errPanic, "Panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return do()
}

var shardNameRE = regexp.MustCompile(`-users-(\d+)$`)

// deleteSurplus deletes shards beyond count, which a lowered maxUsers leaves.
func (s *writing) deleteSurplus(ctx context.Context, count int) error {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := s.Client.List(ctx, &list, client.InNamespace(s.listener.Namespace), client.MatchingLabels(render.Selector(s.listener))); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	wanted := map[string]bool{}
	for i := range count {
		wanted[render.ShardSecretName(s.listener, i)] = true
	}
	var errs []error
	for i := range list.Items {
		name := list.Items[i].Name
		if wanted[name] || !shardNameRE.MatchString(name) {
			continue
		}
		if err := s.Applier.For(s.listener).Delete(ctx, render.Secret(s.listener, name, nil)); err != nil {
			errs = append(errs, fmt.Errorf("delete Secret %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
