package deadline

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// part is a bounded client of a subresource.
type part struct {
	client.SubResourceClient
	each limit
}

func (p part) Get(ctx context.Context, o, sub client.Object, opts ...client.SubResourceGetOption) error {
	return p.each.call(ctx, func(ctx context.Context) error { return p.SubResourceClient.Get(ctx, o, sub, opts...) })
}

func (p part) Create(ctx context.Context, o, sub client.Object, opts ...client.SubResourceCreateOption) error {
	return p.each.call(ctx, func(ctx context.Context) error { return p.SubResourceClient.Create(ctx, o, sub, opts...) })
}

func (p part) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return p.each.call(ctx, func(ctx context.Context) error { return p.SubResourceClient.Update(ctx, o, opts...) })
}

func (p part) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return p.each.call(ctx, func(ctx context.Context) error { return p.SubResourceClient.Patch(ctx, o, patch, opts...) })
}

func (p part) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	return p.each.call(ctx, func(ctx context.Context) error { return p.SubResourceClient.Apply(ctx, o, opts...) })
}
