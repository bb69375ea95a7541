package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/deadline"
)

// NewClient returns the operator's client: it reads from the caches, except for Secrets, which
// no cache holds. The caches have Secrets' metadata, which is read there: a listener checks that
// of all its users' Secrets with every change. ConfigMaps are not cached either: the operator
// may not list them.
func NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	cache := *options.Cache
	cache.DisableFor = append(cache.DisableFor, &corev1.Secret{}, &corev1.ConfigMap{})
	options.Cache = &cache
	c, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	return deadline.NewClient(metadataClient{Client: c, cache: cache.Reader}, deadline.PerCall), nil
}

// metadataClient reads metadata from the caches. The library's client only considers the kind.
type metadataClient struct {
	client.Client
	cache client.Reader
}

// Get implements client.Reader.
func (c metadataClient) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*metav1.PartialObjectMetadata); ok {
		return c.cache.Get(ctx, key, o, opts...)
	}
	return c.Client.Get(ctx, key, o, opts...)
}

// List implements client.Reader.
func (c metadataClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*metav1.PartialObjectMetadataList); ok {
		return c.cache.List(ctx, list, opts...)
	}
	return c.Client.List(ctx, list, opts...)
}
