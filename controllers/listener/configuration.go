package listener

import (
	"context"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// applyConfiguration renders the daemon's configuration and writes the Secrets that have
// changed: the shards first, then the settings that name them.
func (s *scope) applyConfiguration(ctx context.Context) error {
	if len(s.memory.hostKeys) == 0 {
		return errStop // the condition ResolvedRefs says what is missing
	}
	if s.trust.Unknown {
		return errStop // so does it here: pods must not begin without the list of whom to refuse
	}
	if err := s.traced(ctx, phase{"render configuration", func(context.Context) error { return s.renderConfiguration() }}); err != nil {
		return err
	}
	for i, data := range s.files.Shards {
		secret := render.Secret(s.listener, render.ShardSecretName(s.listener, i), map[string][]byte{render.ShardFile(i): data})
		if err := s.applyPart(ctx, secret); err != nil {
			return err
		}
	}
	if err := s.applyPart(ctx, render.Secret(s.listener, render.ConfigSecretName(s.listener), s.files.Config)); err != nil {
		return err
	}
	return s.deleteSurplusShards(ctx, len(s.files.Shards))
}

// applyPart applies a Secret of the configuration.
func (s *scope) applyPart(ctx context.Context, secret *corev1.Secret) error {
	done, err := s.Applier.For(s.listener).Apply(ctx, secret)
	s.configured = s.configured || done.Wrote
	return s.refused(err)
}

func (s *scope) renderConfiguration() error {
	var records []shard.Record
	s.records = map[types.UID]string{}
	s.invalid = map[types.UID]error{}
	for _, d := range s.decisions {
		c := s.credentials[d.User.UID]
		if !d.Accepted() || !c.CanLogIn() {
			continue
		}
		u := render.UserRecord(s.listener, d, c)
		line, err := config.EncodeUser(u)
		if err != nil {
			// The API's rules should not let it come this far; if they do, it is this user's trouble alone.
			s.invalid[d.User.UID] = err
			continue
		}
		s.records[d.User.UID] = config.Digest(line)
		records = append(records, shard.Record{User: u, Line: line, Seniority: d.User.CreationTimestamp.Unix()})
	}
	shards, left, err := shard.Build(records, shard.Count(attach.MaxUsers(s.listener)))
	if err != nil {
		return err
	}
	s.left = left
	s.files, err = render.Configuration(render.Settings(s.listener, s.trust, render.PodVolumePath), s.memory.hostKeys, shards)
	return err
}

var shardNameRE = regexp.MustCompile(`-users-(\d+)$`)

// deleteSurplusShards deletes shards beyond count, which a lowered maxUsers leaves.
func (s *scope) deleteSurplusShards(ctx context.Context, count int) error {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := s.Client.List(ctx, &list, client.InNamespace(s.listener.Namespace),
		client.MatchingLabels{v1alpha1.LabelListener: s.listener.Name}); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	wanted := map[string]bool{}
	for i := range count {
		wanted[render.ShardSecretName(s.listener, i)] = true
	}
	for i := range list.Items {
		name := list.Items[i].Name
		if wanted[name] || !shardNameRE.MatchString(name) {
			continue
		}
		if err := s.Applier.For(s.listener).Delete(ctx, render.Secret(s.listener, name, nil)); err != nil {
			return fmt.Errorf("delete Secret %s: %w", name, err)
		}
	}
	return nil
}
